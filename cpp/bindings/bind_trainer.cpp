#include <pybind11/stl.h>

#include "base/check.hpp"
#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "bindings/classes.hpp"
#include "bindings/derivatives.hpp"
#include "bindings/frames.hpp"
#include "bindings/groups.hpp"
#include "bindings/progress_call.hpp"
#include "bindings/python_exchange.hpp"
#include "bindings/python_schedule.hpp"
#include "bindings/states.hpp"
#include "bindings/targets.hpp"
#include "data/sampler.hpp"
#include "parallel/claim.hpp"
#include "train/trainer.hpp"

namespace gd::bindings {

using base::require;
using base::StateError;
using base::ValueError;

namespace {

using Order = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;

// ValueError unless it is a permutation of the rows.
std::span<const int64_t> checked_order(const Order& order, int64_t rows) {
  require<ValueError>(order.ndim() == 1 && order.size() == rows,
                      "order must have an index for each "
                      "of ",
                      rows, " samples, got ", order.size());
  const std::span<const int64_t> indices(order.data(), static_cast<size_t>(rows));
  std::vector<bool> seen(static_cast<size_t>(rows));
  for (const int64_t each : indices) {
    require<ValueError>(each >= 0 && each < rows && !seen[static_cast<size_t>(each)],
                        "order must have each index from 0 to ", rows - 1, " once, got ", each);
    seen[static_cast<size_t>(each)] = true;
  }
  return indices;
}

optim::ScheduleUnit unit_of(bool every_step) {
  return every_step ? optim::ScheduleUnit::step : optim::ScheduleUnit::epoch;
}

template <class T>
void set_schedule(train::Trainer<T>& trainer, const py::object& schedule, bool every_step) {
  trainer.set_schedule(schedule_from(schedule), unit_of(every_step));
}

// Of each its name in errors, its place among the rule's parameters, what it starts from, its
// schedule, whether that counts steps, and groups with factors.
using HyperScheduleTuple =
    std::tuple<std::string, int, double, py::object, bool, std::vector<std::pair<int, double>>>;

template <class T>
void set_hyper_schedules(train::Trainer<T>& trainer, const std::vector<HyperScheduleTuple>& given) {
  std::vector<train::HyperSchedule> schedules;
  for (const auto& [name, index, base, schedule, every_step, targets] : given) {
    schedules.push_back({name, index, base, schedule_from(schedule), unit_of(every_step), {}});
    for (const auto& [group, factor] : targets) schedules.back().targets.push_back({group, factor});
  }
  trainer.set_hyper_schedules(std::move(schedules));
}

// (steps, epochs, lr, scale, at, the numbers that the rule keeps), the parameters, and a list of
// the rule's states: dicts of arrays with the keys and shapes of state_dict, all as of one moment.
// Where the rule keeps statistics, a dict of one array with them is the last.
template <class T>
py::tuple copy(train::Trainer<T>& trainer) {
  const nn::Network<T>& network = trainer.model().description();
  const auto size = static_cast<size_t>(network.num_parameters());
  std::vector<std::vector<T>> values(1 + static_cast<size_t>(trainer.states()),
                                     std::vector<T>(size));
  std::vector<T*> states;
  for (size_t k = 1; k < values.size(); ++k) states.push_back(values[k].data());
  std::vector<T> kept(static_cast<size_t>(network.state_size()));
  py::array_t<T> statistics(trainer.statistics());
  T* const to = statistics.mutable_data();
  const train::Position at =
      without_gil([&] { return trainer.copy(values[0].data(), kept.data(), states, to); });
  py::list named;
  for (const T* state : states) named.append(split_by_name<T>(network.parameters(), state));
  if (statistics.size() > 0) {
    py::dict whole;
    whole["statistics"] = statistics;
    named.append(whole);
  }
  py::dict arrays = split_by_name<T>(network.parameters(), values[0].data());
  for (const auto& entry : split_by_name<T>(network.kept(), kept.data())) {
    arrays[entry.first] = entry.second;
  }
  return py::make_tuple(py::make_tuple(at.steps, at.epochs, at.lr, at.scale, at.at, at.kept),
                        arrays, named);
}

template <class T>
void set_state(train::Trainer<T>& trainer, int index, const std::string& name, py::handle values) {
  require<base::ValueError>(index >= 0 && index < trainer.states(), "the optimizer has ",
                            trainer.states(), " states, got number ", index);
  const nn::Parameter& parameter = parameter_named(trainer.model().description(), name);
  const auto array = checked_parameter<T>(parameter, values);
  const WithoutGil released;
  trainer.set_state(index, parameter, array.data());
}

template <class T>
void set_statistics(train::Trainer<T>& trainer, py::handle values) {
  const auto array = real_array<T>(values, "statistics");
  require<base::ValueError>(array.size() == trainer.statistics(), "the optimizer keeps ",
                            trainer.statistics(), " statistics, got ", array.size());
  check_finite(array, "statistics");
  const WithoutGil released;
  trainer.set_statistics(array.data());
}

template <class T>
py::dict memory(train::Trainer<T>& trainer, int64_t batch_size, bool shuffle) {
  check_batch_size(batch_size);
  train::MemoryPlan found;
  {
    const WithoutGil released;
    found = trainer.memory(batch_size, shuffle);
  }
  py::dict result;
  result["parameters"] = found.parameters;
  result["gradients"] = found.gradients;
  result["optimizer_state"] = found.states;
  result["snapshot"] = found.snapshot;
  result["activations"] = found.plan.activations;
  result["packing"] = found.plan.packing;
  result["batch"] = found.plan.batch;
  return result;
}

// What is limited together, by how much, and what a unit's weights count at least.
using Clipping = std::tuple<std::string, double, double>;

void set_clipping(train::TrainerOptions& options, const Clipping& clip) {
  const auto& [by, limit, eps] = clip;
  using plan::ClipBy;
  options.clip = by == "value" ? ClipBy::value : by == "unit" ? ClipBy::units : ClipBy::groups;
  options.clips_layers = by == "layer";
  options.clip_limit = limit;
  options.clip_eps = eps;
}

template <class T>
void bind_average(py::class_<train::Trainer<T>>& cls) {
  using Trainer = train::Trainer<T>;
  cls.def_property_readonly("keeps_average", &Trainer::keeps_average);
  cls.def_property_readonly("has_average", &Trainer::has_average);
  cls.def("end_epoch", &Trainer::end_epoch, py::call_guard<WithoutGil>());
  // A copy of the averaged weights into another network, of the same description.
  cls.def(
      "copy_average",
      [](Trainer& self, ModelPointer<T> to) {
        const nn::Network<T>& network = self.model().description();
        std::vector<T> values(static_cast<size_t>(network.num_parameters()));
        std::vector<T> kept(static_cast<size_t>(network.state_size()));
        const WithoutGil released;
        self.copy_average(values.data(), kept.data());
        to->set_values(values.data());
        to->set_state(kept.data());
      },
      py::arg("to"));
}

template <class T>
void require_loss(const train::Trainer<T>& trainer) {
  require<StateError>(trainer.has_loss(),
                      "this trainer has no loss: use backward and apply_gradients");
}

template <class T>
HeldData<T> checked_data(train::Trainer<T>& trainer, py::handle x, py::handle y,
                         py::handle sample_weight, const DataNames& names = {}) {
  require_loss(trainer);
  const nn::Graph& graph = trainer.model().description().graph();
  if (trainer.heads() != nullptr) {
    return hold_data_of_heads<T>(x, y, sample_weight, graph, *trainer.heads(), names);
  }
  return hold_data<T>(x, y, sample_weight, graph, trainer.loss_terms(), names);
}

template <class T>
HeldData<T> checked_sample(train::Trainer<T>& trainer, py::handle x, py::handle y) {
  require_loss(trainer);
  const nn::Graph& graph = trainer.model().description().graph();
  const py::object row = row_in_order(trainer.model(), x);
  if (trainer.heads() != nullptr) return hold_sample_of_heads<T>(row, y, graph, *trainer.heads());
  return hold_sample<T>(row, y, graph, trainer.loss_terms());
}

// "price_loss", and "kind_accuracy" where there is one.
template <class T>
void tell_heads(train::Trainer<T>& trainer, const std::vector<train::HeadFigures>& figures,
                py::dict& to) {
  const nn::Graph& graph = trainer.model().description().graph();
  for (size_t h = 0; h < figures.size(); ++h) {
    const std::string& name = graph.heads[h].name;
    to[py::str(name + "_loss")] = figures[h].loss;
    if (figures[h].accuracy) to[py::str(name + "_accuracy")] = *figures[h].accuracy;
  }
}

template <class T>
py::list operations(train::Trainer<T>& trainer, int64_t batch_size) {
  check_batch_size(batch_size);
  std::vector<train::OperationInfo> found;
  {
    const WithoutGil released;
    found = trainer.operations(batch_size);
  }
  py::list result;
  for (const train::OperationInfo& operation : found) {
    py::dict entry;
    entry["zone"] = profiling::name(operation.zone);
    entry["layer"] = operation.layer;
    entry["phase"] = profiling::name(operation.phase);
    entry["flops"] = operation.flops;
    entry["bytes"] = operation.bytes;
    result.append(std::move(entry));
  }
  return result;
}

template <class T>
void bind_trainer_of(py::module_& m, const char* name, const char* data_name) {
  using Trainer = train::Trainer<T>;
  using Data = HeldData<T>;

  py::class_<Data>(m, data_name).def_property_readonly("samples", [](const Data& self) {
    return self.view.size();
  });

  auto cls = py::class_<Trainer>(m, name, py::custom_type_setup(hold_as_python_does<T>));
  cls.def(py::init([](ModelPointer<T> network, std::optional<std::string> loss,
                      std::vector<double> loss_parameters, const std::vector<HeadLossTuple>& heads,
                      std::string rule, std::vector<double> hyper, std::optional<int> num_threads,
                      uint64_t seed, std::optional<double> clip_grad_norm,
                      const std::string& matmul_precision, const Groups& groups,
                      std::vector<int> group_of, const Wrappers& wrappers,
                      const std::optional<Clipping>& clip, int slices, py::object channel) {
            train::TrainerOptions options;
            options.precision = ops::precision_named(matmul_precision);
            options.loss = loss_from(std::move(loss), std::move(loss_parameters), heads);
            options.rule = std::move(rule);
            options.hyper = std::move(hyper);
            options.threads = num_threads ? resolve_threads(num_threads) : 0;
            options.seed = seed;
            options.clip_norm = clip_grad_norm.value_or(0);
            options.groups = groups_of(groups);
            options.group_of = std::move(group_of);
            options.wrappers = wrappers_of(wrappers);
            if (clip) set_clipping(options, *clip);
            options.slices = slices;
            if (!channel.is_none()) {
              options.exchange = std::make_shared<PythonExchange>(std::move(channel));
            }
            const WithoutGil released;  // the network may be in use
            return std::make_unique<Trainer>(std::move(network), options);
          }),
          py::arg("network"), py::arg("loss"), py::arg("loss_parameters"), py::arg("heads"),
          py::arg("rule"), py::arg("hyper"), py::arg("num_threads"), py::arg("seed"),
          py::arg("clip_grad_norm") = py::none(), py::arg("matmul_precision") = "highest",
          py::arg("groups") = Groups(), py::arg("group_of") = std::vector<int>(),
          py::arg("wrappers") = Wrappers(), py::arg("clip") = py::none(), py::arg("slices") = 0,
          py::arg("channel") = py::none());
  // Of a batch of that size, those that a rank works on: begin and end.
  cls.def(
      "rows_of_rank",
      [](const Trainer& self, int64_t rows, int rank) {
        require<StateError>(self.slices() > 0, "batches are not cut in slices");
        const parallel::Range here = self.rows_of_rank(rows, rank);
        return std::pair(here.begin, here.end);
      },
      py::arg("rows"), py::arg("rank"));
  cls.def_property_readonly("updates_own", &Trainer::updates_own);
  bind_average<T>(cls);
  cls.def_property("lr", &Trainer::lr, &Trainer::set_lr);
  cls.def_property(
      "num_threads",
      [](Trainer& self) {
        self.ask_for_threads();
        return self.threads();
      },
      [](Trainer& self, std::optional<int> num_threads) {
        self.set_threads(num_threads ? resolve_threads(num_threads) : 0);
      });
  cls.def("rate_at", &Trainer::rate_at, py::arg("t"));
  cls.def("scheduled_at", &Trainer::scheduled_at, py::arg("t"));
  cls.def_property_readonly("base_lr", &Trainer::base_lr);
  cls.def_property_readonly("steps", &Trainer::steps);
  cls.def_property_readonly("epochs", &Trainer::epochs);
  cls.def("set_schedule", set_schedule<T>, py::arg("schedule"), py::arg("every_step"));
  cls.def("set_hyper_schedules", set_hyper_schedules<T>, py::arg("schedules"));
  cls.def_property_readonly("hyper_values", &Trainer::hyper_values);
  cls.def("copy", copy<T>);
  cls.def_property_readonly("states", &Trainer::states);
  cls.def_property_readonly("converged", &Trainer::converged);
  cls.def_property_readonly("evaluations", [](const Trainer& self) {
    const auto found = self.evaluations();
    return std::tuple(found.losses, found.gradients, found.jacobians);
  });
  // What a loaded trainer goes on from.
  cls.def("set_state", set_state<T>, py::arg("index"), py::arg("name"), py::arg("values"));
  cls.def(
      "set_position",
      [](Trainer& self, int64_t steps, int64_t epochs, double lr, double scale, double at,
         std::vector<double> kept) {
        without_gil([&] { self.set_position({steps, epochs, lr, scale, at, std::move(kept)}); });
      },
      py::arg("steps"), py::arg("epochs"), py::arg("lr"), py::arg("scale"), py::arg("at"),
      py::arg("kept") = std::vector<double>());
  cls.def_property_readonly("statistics", &Trainer::statistics);
  cls.def("set_statistics", set_statistics<T>, py::arg("values"));
  cls.def("memory", memory<T>, py::arg("batch_size"), py::arg("shuffle"));

  cls.def(
      "step",
      [](Trainer& self, py::handle x, py::handle y, py::handle sample_weight) {
        const Data data = checked_data(self, in_order(self.model(), x), y, sample_weight);
        const double loss = without_gil([&] { return self.step(data.view); });
        keep_names(self.model(), x);
        return loss;
      },
      py::arg("x"), py::arg("y"), py::arg("sample_weight"));

  cls.def(
      "learn_one",
      [](Trainer& self, py::handle x, py::handle y) {
        const Data data = checked_sample(self, x, y);
        const WithoutGil released;
        return self.step(data.view);
      },
      py::arg("x"), py::arg("y"));

  cls.def(
      "learn_many",
      [](Trainer& self, py::handle x, py::handle y) {
        const Data data = checked_data(self, in_order(self.model(), x), y, py::none());
        py::array_t<double> losses(static_cast<py::ssize_t>(data.view.size()));
        double* to = losses.mutable_data();
        ProgressCall call(py::none(), py::none(), data.view.size());
        {
          const WithoutGil released;
          self.learn_many(data.view, to, call);
        }
        keep_names(self.model(), x);
        call.rethrow();
        return losses;
      },
      py::arg("x"), py::arg("y"));

  cls.def(
      "prepare",
      [](Trainer& self, py::handle x, py::handle y, py::handle sample_weight,
         const std::array<std::string, 3>& names) {
        self.expect_new_data();
        return checked_data(self, x, y, sample_weight, {names[0], names[1], names[2]});
      },
      py::arg("x"), py::arg("y"), py::arg("sample_weight"), py::arg("names"));

  cls.def(
      "with_derivatives",
      [](Trainer& self, const Data& data, py::handle dy) {
        self.check_derivatives();
        return with_derivatives<T>(data, dy, self.model().description().output_size());
      },
      py::arg("data"), py::arg("dy"));

  cls.def(
      "fit_epoch",
      [](Trainer& self, const Data& data, std::optional<int64_t> batch_size, bool shuffle,
         py::object progress, py::object on_batch, int64_t accumulate,
         const std::vector<double>& derivative_weights, const std::optional<Order>& order) {
        const int64_t at_once = check_batch_size(batch_size.value_or(data.view.size()));
        const auto taken =
            order ? checked_order(*order, data.view.size()) : std::span<const int64_t>();
        ProgressCall call(std::move(progress), std::move(on_batch), data.view.size());
        double loss = 0;
        {
          const WithoutGil released;
          loss = self.fit_epoch(data.view, at_once, shuffle, call, accumulate, derivative_weights,
                                taken);
        }
        call.rethrow();
        py::dict result;
        result["loss"] = loss;
        if (!derivative_weights.empty()) {
          result["value_loss"] = self.head_losses().at(0);
          result["derivative_loss"] = self.head_losses().at(1);
          return result;
        }
        std::vector<train::HeadFigures> figures;
        for (const double each : self.head_losses()) figures.push_back({each, std::nullopt});
        tell_heads(self, figures, result);
        return result;
      },
      py::arg("data"), py::arg("batch_size"), py::arg("shuffle"), py::arg("progress"),
      py::arg("on_batch"), py::arg("accumulate") = 1,
      py::arg("derivative_weights") = std::vector<double>(),
      py::arg("order") = std::optional<Order>());

  // The same for a part of an epoch, in order.
  cls.def(
      "fit_part",
      [](Trainer& self, const Data& data, int64_t batch_size, train::EpochPart& part,
         py::object progress, py::object on_batch, int64_t accumulate) {
        ProgressCall call(std::move(progress), std::move(on_batch), data.view.size());
        const int64_t at_once = check_batch_size(batch_size);
        double loss = 0;
        {
          const WithoutGil released;
          loss = self.fit_epoch(data.view, at_once, false, call, accumulate, {}, {}, &part);
        }
        call.rethrow();
        py::dict result;
        result["loss"] = loss;
        std::vector<train::HeadFigures> figures;
        for (const double each : self.head_losses()) figures.push_back({each, std::nullopt});
        tell_heads(self, figures, result);
        return result;
      },
      py::arg("data"), py::arg("batch_size"), py::arg("part"), py::arg("progress"),
      py::arg("on_batch"), py::arg("accumulate"));

  cls.def(
      "evaluate",
      [](Trainer& self, const Data& data, std::optional<int64_t> batch_size) {
        const int64_t at_once = check_batch_size(batch_size.value_or(train::kDefaultBatch));
        Interrupts interrupts;
        const auto found =
            without_gil([&] { return self.evaluate(data.view, at_once, interrupts); });
        interrupts.rethrow();
        py::dict result;
        result["loss"] = found.loss;
        if (found.accuracy) result["accuracy"] = *found.accuracy;
        tell_heads(self, found.heads, result);
        return result;
      },
      py::arg("data"), py::arg("batch_size"));

  cls.def(
      "compute_gradients",
      [](Trainer& self, py::handle x, py::handle y, py::handle sample_weight, double weight_sum,
         int64_t first_row) {
        require<ValueError>(self.heads() == nullptr || weight_sum == 0,
                            "weight_sum must be None where outputs have names");
        const Data data = checked_data(self, in_order(self.model(), x), y, sample_weight);
        const WithoutGil released;
        return self.compute_gradients(data.view, weight_sum, first_row);
      },
      py::arg("x"), py::arg("y"), py::arg("sample_weight"), py::arg("weight_sum"),
      py::arg("first_row"));
  // Calls a function with the flat buffer itself, and counts it as changed where it is that of the
  // parameters.
  cls.def(
      "with_flat",
      [](Trainer& self, bool gradients, const py::object& function) {
        const WithoutGil released;  // who has the model may wait for it
        self.with_flat(gradients, [&](T* flat, int64_t size) {
          const WithGil gil;
          called(function, py::array_t<T>(static_cast<py::ssize_t>(size), flat, py::none()));
        });
      },
      py::arg("gradients"), py::arg("function"));
  cls.def("apply_gradients", &Trainer::apply_gradients, py::call_guard<WithoutGil>());
  cls.def("operations", operations<T>, py::arg("batch_size"));
  cls.def(
      "flops_per_step",
      [](Trainer& self, int64_t batch_size) {
        check_batch_size(batch_size);
        const WithoutGil released;
        int64_t total = 0;
        for (const train::OperationInfo& operation : self.operations(batch_size)) {
          total += operation.flops;
        }
        return total;
      },
      py::arg("batch_size"));
  cls.def(
      "num_workers",
      [](Trainer& self, int64_t batch_size) {
        check_batch_size(batch_size);
        const WithoutGil released;
        return self.workers(batch_size);
      },
      py::arg("batch_size"));
}

}  // namespace

void bind_trainer(py::module_& m) {
  // The order in which `fit` takes samples in an epoch, (samples,), for who trains in Python.
  m.def(
      "shuffled",
      [](int64_t samples, uint64_t seed, uint64_t epoch) {
        data::BatchSampler sampler(samples, samples);
        sampler.shuffle(seed, epoch);
        const std::span<const int64_t> order = sampler.batch(0);
        return py::array_t<int64_t>(static_cast<py::ssize_t>(order.size()), order.data());
      },
      py::arg("samples"), py::arg("seed"), py::arg("epoch"));

  // What a schedule gives at these times, from `base`.
  m.def(
      "schedule_values",
      [](const py::object& schedule, double base, const std::vector<int64_t>& times) {
        const std::unique_ptr<optim::Schedule> made = schedule_from(schedule);
        std::vector<double> values;
        for (const int64_t t : times) values.push_back(made->value(base, t));
        return values;
      },
      py::arg("schedule"), py::arg("base"), py::arg("times"));

  m.def(
      "has_accuracy",
      [](const std::string& loss) { return train::AccuracyCounter<double>::counts(loss); },
      py::arg("loss"));

  // For a with block. It begins and ends in C++: between two lines of Python a signal's handler may
  // raise, and then nobody would give it back.
  struct Claim {
    std::string refusal;
    parallel::Claim claim{};
  };
  py::class_<Claim>(m, "Claim")
      .def(py::init([](std::string refusal) {
             auto made = std::make_unique<Claim>();
             made->refusal = std::move(refusal);
             return made;
           }),
           py::arg("refusal"))
      .def("__enter__", [](Claim& self) { require<StateError>(self.claim.take(), self.refusal); })
      .def(
          "__exit__",
          [](Claim& self, const py::object&, const py::object&, const py::object&) {
            self.claim.give_back();
          },
          py::arg("kind"), py::arg("error"), py::arg("traceback"));
  using train::EpochPart;
  py::class_<EpochPart>(m, "EpochPart")
      .def(py::init([](int64_t samples, double loss, double weight, std::vector<double> head_losses,
                       std::vector<double> head_weights) {
             return EpochPart{true,
                              false,
                              samples,
                              loss,
                              weight,
                              std::move(head_losses),
                              std::move(head_weights)};
           }),
           py::arg("samples") = 0, py::arg("loss") = 0.0, py::arg("weight") = 0.0,
           py::arg("head_losses") = std::vector<double>(),
           py::arg("head_weights") = std::vector<double>())
      .def_readwrite("first", &EpochPart::first)
      .def_readwrite("last", &EpochPart::last)
      .def_readwrite("rows", &EpochPart::rows)
      .def_readonly("samples", &EpochPart::samples)
      .def_readonly("loss", &EpochPart::loss)
      .def_readonly("weight", &EpochPart::weight)
      .def_readonly("head_losses", &EpochPart::head_losses)
      .def_readonly("head_weights", &EpochPart::head_weights);
  bind_trainer_of<float>(m, "Trainer32", "Data32");
  bind_trainer_of<double>(m, "Trainer64", "Data64");
}

}  // namespace gd::bindings
