#include <pybind11/stl.h>

#include "bindings/bind.hpp"
#include "bindings/gil.hpp"
#include "kernels/cpu_features.hpp"
#include "kernels/dispatch.hpp"
#include "nn/initializers.hpp"
#include "ops/bandwidth.hpp"
#include "ops/formulas.hpp"
#include "ops/peak.hpp"
#include "optim/registry.hpp"
#include "optim/solvers/solver.hpp"
#include "parallel/config.hpp"
#include "parallel/cpus.hpp"

namespace gd::bindings {

namespace py = pybind11;

namespace {

// What serves each precision: where bfloat16 does not pay, the next better one.
py::dict precisions() {
  const kernels::Bf16Kernels* unit = kernels::kernels().bf16;
  const auto served_by = [&](int products) -> std::string {
    if (unit == nullptr || unit->most_products < products) return "float32";
    return (products == 1 ? "bfloat16 (" : std::to_string(products) + " x bfloat16 (") +
           std::string(unit->unit) + ")";
  };
  py::dict precision;
  precision["highest"] = "float32";
  precision["high"] = served_by(3);
  precision["medium"] = served_by(1);
  return precision;
}

py::dict config() {
  const parallel::Cpus cpus = parallel::available_cpus();
  const parallel::ThreadCount threads = parallel::default_thread_count();
  py::dict cpu_counts;
  cpu_counts["affinity"] = cpus.logical;
  cpu_counts["cgroup_quota"] = py::cast(cpus.cgroup_quota);
  cpu_counts["physical_cores"] = cpus.physical_cores;

  py::dict result;
  result["version"] = GD_VERSION;
  result["isa"] = kernels::kernels().isa;
  result["isa_available"] = kernels::available_isas();
  result["isa_cap"] =
      kernels::isa_cap().empty() ? py::object(py::none()) : py::object(py::str(kernels::isa_cap()));
  result["cpu_features"] = kernels::cpu_features();
  result["cpus"] = cpu_counts;
  result["num_threads"] = threads.count;
  result["num_threads_source"] = threads.source;
  result["openmp"] = parallel::openmp_runtime();
  result["compiler"] = GD_COMPILER;
  result["build_type"] = GD_BUILD_TYPE;
  result["precision"] = precisions();
  return result;
}

template <class Info>
py::dict by_name(const std::vector<Info>& formulas) {
  py::dict result;
  for (const Info& formula : formulas) {
    result[py::str(formula.name)] = py::tuple(py::cast(formula.parameters));
  }
  return result;
}

}  // namespace

void bind_config(py::module_& m) {
  m.def("config", config);
  m.def(
      "set_num_threads",
      [](std::optional<int> num_threads) {
        if (num_threads) {
          parallel::set_num_threads(*num_threads);
        } else {
          parallel::clear_num_threads();
        }
      },
      py::arg("num_threads"));
  m.def("get_num_threads", [] { return parallel::default_thread_count().count; });
  m.def(
      "fma_peak",
      [](const std::string& dtype, int num_threads, double seconds) {
        const WithoutGil released;
        if (dtype == "bfloat16") return ops::measure_bf16_peak(num_threads, seconds);
        return dtype == "float32" ? ops::measure_fma_peak<float>(num_threads, seconds)
                                  : ops::measure_fma_peak<double>(num_threads, seconds);
      },
      py::arg("dtype"), py::arg("num_threads"), py::arg("seconds"));
  m.def(
      "memory_bandwidth",
      [](int num_threads, int64_t bytes, double seconds) {
        const WithoutGil released;
        return ops::measure_memory_bandwidth(num_threads, bytes, seconds);
      },
      py::arg("num_threads"), py::arg("bytes"), py::arg("seconds"));
  m.def("activations", [] { return by_name(ops::activation_formulas()); });
  m.def("losses", [] { return by_name(ops::loss_formulas()); });
  m.def("rules", [] { return by_name(optim::rule_formulas()); });
  m.def("solvers", [] { return by_name(optim::solvers()); });
  m.def("initializers", nn::initializer_names);
}

}  // namespace gd::bindings

// What threadpoolctl knows this library by: how many threads a call may use that was told no
// number.
extern "C" __attribute__((visibility("default"))) int gdcore_num_threads() {
  return gd::parallel::default_thread_count().count;
}
