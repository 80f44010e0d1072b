#include "optim/solvers/solver.hpp"

#include <cstdio>

#include "base/memory.hpp"
#include "optim/solvers/lbfgs.hpp"
#include "optim/solvers/levenberg_marquardt.hpp"

namespace gd::optim {

using base::fail;
using base::require;
using base::StateError;
using base::ValueError;

namespace {

const std::vector<SolverInfo>& all() {
  static const std::vector<SolverInfo> infos{
      {"lbfgs",
       {"lr", "history_size", "max_iter", "line_search", "tolerance_grad", "tolerance_change",
        "weight_decay"}},
      {"levenberg_marquardt",
       {"lr", "mu", "mu_dec", "mu_inc", "mu_max", "min_grad", "weight_decay", "solver"}},
  };
  return infos;
}

// The weight decay of each group; of all where there are none.
std::vector<double> decays(const SolverInfo& info, const std::vector<double>& hyper,
                           const std::vector<Group>& groups) {
  const auto at = static_cast<size_t>(std::ranges::find(info.parameters, "weight_decay") -
                                      info.parameters.begin());
  if (groups.empty()) return {hyper[at]};
  std::vector<double> found;
  for (const Group& group : groups) {
    require<ValueError>(group.lr == group.at, "groups must not set lr with '", info.name,
                        "', whose step is one for all parameters, got the group ", group.name);
    for (size_t i = 0; i < hyper.size(); ++i) {
      require<ValueError>(i == at || group.hyper.at(i) == hyper[i],
                          "groups must set no more than "
                          "weight_decay and frozen with '",
                          info.name, "', got ", info.parameters[i], " in the group ", group.name);
    }
    found.push_back(group.hyper[at]);
  }
  return found;
}

}  // namespace

std::vector<SolverInfo> solvers() { return all(); }

template <class T>
std::unique_ptr<Solver<T>> make_solver(const std::string& name, const std::vector<double>& hyper,
                                       const std::vector<Group>& groups) {
  const auto info = std::ranges::find(all(), name, &SolverInfo::name);
  if (info == all().end()) return nullptr;
  require<ValueError>(hyper.size() == info->parameters.size(), "optimizer '", name, "' takes ",
                      info->parameters.size(), " hyperparameters, got ", hyper.size());
  for (size_t i = 0; i < hyper.size(); ++i) base::representable<T>(hyper[i], info->parameters[i]);
  std::vector<double> decay = decays(*info, hyper, groups);
  if (name == "lbfgs") return std::make_unique<Lbfgs<T>>(hyper, std::move(decay));
  if constexpr (sizeof(T) == sizeof(double)) {
    return std::make_unique<LevenbergMarquardt<T>>(hyper, std::move(decay));
  } else {
    fail<ValueError>(
        "LevenbergMarquardt needs a network of float64, got float32: J^T J has the squares of its "
        "condition numbers");
  }
}

template <class T>
void Solver<T>::begin_step(double, int64_t) {
  fail<StateError>(title(),
                   " takes all samples at every step and asks for losses at other weights: train "
                   "with fit(x, y, batch_size=None)");
}

template <class T>
void Solver<T>::update(ops::Worker&, ops::TileQueue&, const UpdateInput<T>&) {
  fail<StateError>(title(), " is not a part of a step");
}

void check_fits(double bytes, const std::string& what, const std::string& way_out) {
  const auto there = static_cast<double>(base::physical_memory());
  if (bytes < there || (there == 0 && bytes < 0x1p46)) return;
  char told[32];
  std::snprintf(told, sizeof told, "%.3g", bytes);
  fail<ValueError>(what, " would take ", told, " bytes, more than this machine has: ", way_out);
}

template class Solver<float>;
template class Solver<double>;
template std::unique_ptr<Solver<float>> make_solver(const std::string&, const std::vector<double>&,
                                                    const std::vector<Group>&);
template std::unique_ptr<Solver<double>> make_solver(const std::string&, const std::vector<double>&,
                                                     const std::vector<Group>&);

}  // namespace gd::optim
