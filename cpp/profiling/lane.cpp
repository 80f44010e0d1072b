#include "profiling/lane.hpp"

#include <limits>

namespace gd::profiling {

namespace {
constexpr size_t kHugePage = size_t{2} << 20;
}  // namespace

void Lane::end_in_pieces(Amount all, OperationId inner, Amount inner_all) {
  end_piece(ticks(), inner != kNoOperation);
  // What division leaves over goes with the last tiles.
  int rest = pieces_ - 1;
  while (rest > 0 && all_tiles_ > 0 && piece_[rest].tiles == 0) --rest;
  const Amount left = less(share(all), of_tiles(all, tiles_));
  const Amount inner_left = less(share(inner_all), of_tiles(inner_all, tiles_));
  Amount within;  // of tiles whose inner part came later, as after the last block of a sum
  for (int i = 0; i < pieces_; ++i) {
    const Piece& piece = piece_[i];
    put(piece.event, current_, plus(of_tiles(all, piece.tiles), i == rest ? left : Amount{}));
    within = plus(within, of_tiles(inner_all, piece.tiles));
    if (i == rest) within = plus(within, inner_left);
    if (!piece.inner) continue;
    put(piece.event + 1, inner != kNoOperation ? inner : current_, within);
    within = {};
  }
  done();
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

double Lane::ticks_of_a_lap() {
  constexpr int kLaps = 64;
  uint64_t least = std::numeric_limits<uint64_t>::max();
  for (int i = 0; i < 8; ++i) {
    const uint64_t since = at_ = ticks();
    for (int j = 0; j < kLaps; ++j) lap(kNoOperation);
    least = std::min(least, at_ - since);
    count_ = 0;
  }
  at_ = 0;
  return static_cast<double>(least) / kLaps;
}

void Lane::make_room() {
  touch_more();
  lap_until(ticks(), zone_id(Zone::kRecorder), kNoOperation, {});
}

}  // namespace gd::profiling
