// Many epochs in one call: what a thread that trains one of many networks does without Python.

#include <chrono>

#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "bindings/gil.hpp"
#include "bindings/targets.hpp"
#include "train/trainer.hpp"

namespace gd::bindings {

namespace {

// Between two steps, at most 20 times a second: takes the GIL, lets Python see signals and calls
// it, which may raise; then the call ends.
class Turns {
 public:
  explicit Turns(py::object callable) : callable_(std::move(callable)) {}

  // Whether the call is to end.
  bool operator()() {
    if (error_) return true;
    if (!due()) return false;
    last_ = Clock::now();
    const WithGil gil;
    try {
      if (python_call([] { return PyErr_CheckSignals(); }) != 0) throw py::error_already_set();
      called(callable_);
    } catch (...) {
      error_ = std::current_exception();
    }
    return error_ != nullptr;
  }

  bool due() const { return Clock::now() - last_ >= kInterval; }
  const std::exception_ptr& error() const { return error_; }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kInterval = std::chrono::milliseconds(50);

  py::object callable_;
  Clock::time_point last_ = Clock::now();
  std::exception_ptr error_;
};

struct EpochFigures {
  double loss = 0;
  std::optional<train::Evaluation> validation{};
};

void add(py::dict& history, const char* key, double value) {
  const py::str name(key);
  if (!history.contains(name)) history[name] = py::list();
  history[name].cast<py::list>().append(value);
}

// Trains until the epochs are done, or one is and it is time to let Python look. What is finished
// stands in the history, whatever ends it.
template <class T>
void fit_epochs(train::Trainer<T>& trainer, const HeldData<T>& data,
                std::optional<int64_t> batch_size, bool shuffle, int64_t epochs,
                const HeldData<T>* validation, py::object look, py::dict history) {
  const int64_t at_once = check_batch_size(batch_size.value_or(data.view.size()));
  Turns turns(std::move(look));
  std::vector<EpochFigures> done;
  std::exception_ptr error;
  {
    const WithoutGil released;
    try {
      const auto within = [&](int64_t samples, std::optional<double>) {
        return samples >= data.view.size() || !turns();
      };
      const auto stops = [&] { return turns(); };
      while (epochs-- > 0) {
        EpochFigures found{trainer.fit_epoch(data.view, at_once, shuffle, within)};
        if (turns.error()) break;
        if (validation != nullptr) {
          found.validation = trainer.evaluate(validation->view, train::kDefaultBatch, stops);
          if (turns.error()) break;
        }
        done.push_back(found);
        if (turns.due()) break;
      }
    } catch (...) {
      error = std::current_exception();
    }
  }
  for (const EpochFigures& each : done) {
    add(history, "loss", each.loss);
    if (!each.validation) continue;
    add(history, "val_loss", each.validation->loss);
    if (each.validation->accuracy) add(history, "val_accuracy", *each.validation->accuracy);
  }
  if (error) std::rethrow_exception(error);
  if (turns.error()) std::rethrow_exception(turns.error());
}

template <class T>
void bind_fit_epochs(py::module_& m) {
  m.def("fit_epochs", fit_epochs<T>, py::arg("trainer"), py::arg("data"), py::arg("batch_size"),
        py::arg("shuffle"), py::arg("epochs"), py::arg("validation"), py::arg("look"),
        py::arg("history"));
}

}  // namespace

void bind_many(py::module_& m) {
  bind_fit_epochs<float>(m);
  bind_fit_epochs<double>(m);
}

}  // namespace gd::bindings
