#include "profiling/lane.hpp"

#include <limits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace gd::profiling {

namespace {
constexpr size_t kHugePage = size_t{2} << 20;
}  // namespace

Events allocate_events(size_t count) {
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

void Lane::touch_more() {
  constexpr size_t kPage = 4096;
  const uint64_t size = mask_ + 1;
  const uint64_t until = std::min(size, touched_ + kHugePage / sizeof(Event));
  auto* const bytes = reinterpret_cast<volatile char*>(events_.get());
  for (size_t at = touched_ * sizeof(Event); at < until * sizeof(Event); at += kPage) bytes[at] = 0;
  touched_ = until;
  room_until_ = until < size ? until - kRoom : std::numeric_limits<uint64_t>::max();
}

void Lane::make_room() {
  touch_more();
  lap_until(ticks(), zone_id(Zone::kRecorder), kNoOperation, {});
}

}  // namespace gd::profiling
