#include "parallel/places.hpp"

#include <omp.h>

#include <new>
#include <vector>

namespace gd::parallel {

#if defined(__linux__)

namespace {

bool openmp_binds() {
  return omp_get_proc_bind() != omp_proc_bind_false && omp_get_num_places() > 0;
}

void add_place(CpuSet& set, int place) {
  std::vector<int> cpus(omp_get_place_num_procs(place));
  omp_get_place_proc_ids(place, cpus.data());
  for (const int cpu : cpus) set.add(cpu);
}

}  // namespace

void move_to_place(int index) noexcept try {
  if (!openmp_binds()) return;
  CpuSet set;
  add_place(set, index % omp_get_num_places());
  set.bind_this_thread();
} catch (const std::bad_alloc&) {  // it works from where it is
}

std::optional<CpuSet> cpus_of_places() {
  if (!openmp_binds()) return std::nullopt;
  CpuSet set;
  for (int place = 0; place < omp_get_num_places(); ++place) add_place(set, place);
  return set;
}

#else

void move_to_place(int) noexcept {}

#endif

}  // namespace gd::parallel
