#include "profiling/lane.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace gd::profiling {

Events allocate_events(size_t count) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t bytes = count * sizeof(Event);
  if (bytes < kHugePage) return Events(static_cast<Event*>(std::malloc(bytes)));
  const size_t whole = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  Events events(static_cast<Event*>(std::aligned_alloc(kHugePage, whole)));
#if defined(__linux__)
  // A small step would meet a fresh page every fifth time, which costs more than all its events.
  if (events != nullptr) madvise(events.get(), whole, MADV_HUGEPAGE);
#endif
  return events;
}

}  // namespace gd::profiling
