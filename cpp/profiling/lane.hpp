#pragma once

// The events of one thread: a ring of fixed size that only this thread writes.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/current_cpu.hpp"
#include "base/memory.hpp"
#include "profiling/clock.hpp"
#include "profiling/counters.hpp"
#include "profiling/operations.hpp"
#include "profiling/sources.hpp"

namespace gd::profiling {

// What a call of gdcore is for.
enum class Purpose : uint8_t {
  training,
  validation,  // of data that nothing is learnt from
  inference,
  checking,  // of gradients
  product,   // of two matrices, by gd.matmul
};

// Whom an event belongs to.
struct Setting {
  uint16_t team = 0;            // the number of the lane whose thread called
  SourceId source = kNoSource;  // the trainer or network that was called
  uint16_t cpu = 0;             // where the thread was at the event's end
  Purpose purpose = Purpose::training;
};

// Something a thread did from `begin` to `end`, in ticks.
struct Event {
  uint64_t begin;
  uint64_t end;
  int64_t flops;  // that this worker did of the operation's
  int64_t bytes;
  uint32_t step;  // that was last begun, from 1 on; 0 before any
  OperationId operation;
  OperationId cause;  // of waiting: the operation that the others were at
  Setting setting;
};

// The arithmetic and the traffic of an operation, or of a worker's part of it.
struct Amount {
  int64_t flops = 0;
  int64_t bytes = 0;
};

struct FreeEvents {
  void operator()(Event* events) const { base::deallocate_untouched(events); }
};
using Events = std::unique_ptr<Event[], FreeEvents>;

// Memory for so many, or null.
inline Events allocate_events(size_t count) {
  return Events(static_cast<Event*>(base::allocate_untouched(count * sizeof(Event))));
}

// A stretch of a thread's time with a name of the user's.
struct Range {
  uint64_t begin;
  uint64_t end;  // 0: goes on
  uint32_t step;
  uint16_t depth;  // within how many others
  SourceId source;
  std::string name;
};

// A caller's place in its region, when it wakes workers.
struct Call {
  uint32_t step = 0;
  uint32_t region = 0;              // that it is within
  OperationId last = kNoOperation;  // that it had done there
  Setting setting;
  uint64_t since = 0;  // its laps follow each other without gaps
};

// What a worker did between two bodies, in ticks.
struct Pause {
  uint64_t gave_way_at = 0;  // to other threads of the system; 0: it did not
  uint64_t back_at = 0;
  uint64_t asleep_since = 0;  // 0: it was not
};

// Time is cut into laps without gaps: each begins where the one before ended, so that one clock
// read an event is enough and nothing gets lost between two.
class Lane {
 public:
  // Everything since the last lap was this.
  void lap(OperationId operation, Amount amount = {}) {
    lap_until(ticks(), operation, kNoOperation, amount);
    if (count_ >= room_until_) make_room();
  }

  // An operation begins now, at the end of the last lap.
  void begin(OperationId operation) {
    current_ = operation;
    tiles_ = 0;
    all_tiles_ = 0;
    first_tile_ = false;
    inner_ = 0;
    pieces_ = 0;
    tiles_told_ = 0;
  }

  // Tiles that this worker did, or their work, of how much, and whether the first was among them.
  void did_tiles(int64_t tiles, int64_t all, bool first) {
    if (all_tiles_ == 0) first_tile_ = first;
    tiles_ += tiles;
    all_tiles_ += all;
  }

  // Time within the operation that went into another one, tile by tile.
  void add_inner(uint64_t taken) { inner_ += taken; }

  // The same, of amounts that are this worker's own.
  void end_own(Amount own) {
    all_tiles_ = 0;
    end(own);
  }

  // The operation is done, by this worker; amounts are those of all workers together. What was
  // within it becomes a lap behind each of its own. Each lap gets what its tiles are of them.
  void end(Amount all, OperationId inner = kNoOperation, Amount inner_all = {}) {
    if (pieces_ > 0) return end_in_pieces(all, inner, inner_all);
    // Nobody was waited for, as in all small steps: no notes are needed.
    const uint64_t now = ticks();
    if (inner == kNoOperation) {
      lap_until(now, current_, kNoOperation, share(all));
    } else {
      lap_until(std::max(at_, now - std::min(inner_, now)), current_, kNoOperation, share(all));
      lap_until(now, inner, kNoOperation, share(inner_all));
    }
    done();
  }

  // Before waiting for others; within an operation, what there is of it becomes a lap.
  void begin_wait() {
    if (current_ != kNoOperation) end_piece(ticks(), inner_ > 0);
  }

  // After waiting, which became sleep at that time; 0: it did not.
  void end_wait(uint64_t asleep_since) {
    end_wait(asleep_since, current_ != kNoOperation ? current_ : last_);
  }
  void end_wait(uint64_t asleep_since, OperationId cause) {
    const uint64_t now = ticks();
    if (asleep_since > at_ && asleep_since < now) {
      lap_until(asleep_since, zone_id(Zone::kWait), cause, {});
      lap_until(now, zone_id(Zone::kSleep), cause, {});
    } else {
      const Zone zone = asleep_since != 0 ? Zone::kSleep : Zone::kWait;
      lap_until(now, zone_id(zone), cause, {});
    }
  }

  // For the workers that this thread wakes.
  Call call() const { return {step_, region_, last_, setting_, since_}; }

 private:
  friend class Recorder;
  friend class Quiet;

  // An operation's laps up to a wait, or to its end: its own, and then what was within it.
  struct Piece {
    uint64_t event;  // the number of the first
    int64_t tiles;   // that were done in it
    bool inner;
  };
  void end_in_pieces(Amount all, OperationId inner, Amount inner_all);
  void done() {
    last_ = current_;
    current_ = kNoOperation;
    if (count_ >= room_until_) make_room();
  }

  // Of more waits than that within one operation the last lap has what is left.
  static constexpr int kMostPieces = 256;

  // Of an amount by tiles, so that the shares of all workers add up to all of it.
  Amount share(Amount all) const {
    if (all_tiles_ == 0) return all;  // alone
    const Amount own = of_tiles(all, tiles_);
    if (!first_tile_) return own;
    return {own.flops + all.flops % all_tiles_, own.bytes + all.bytes % all_tiles_};
  }
  Amount of_tiles(Amount all, int64_t tiles) const {
    if (all_tiles_ == 0) return {};
    return {all.flops / all_tiles_ * tiles, all.bytes / all_tiles_ * tiles};
  }

  // Amounts are not known before the operation ends.
  void end_piece(uint64_t now, bool inner) {
    if (pieces_ < kMostPieces) piece_[pieces_++] = {};
    Piece& piece = piece_[pieces_ - 1];
    piece = {count_, piece.tiles + tiles_ - tiles_told_, inner};
    tiles_told_ = tiles_;
    if (inner) lap_until(std::max(at_, now - std::min(inner_, now)), current_, kNoOperation, {});
    lap_until(now, current_, kNoOperation, {});
    inner_ = 0;
  }

  static Amount plus(Amount a, Amount b) { return {a.flops + b.flops, a.bytes + b.bytes}; }
  static Amount less(Amount a, Amount b) { return {a.flops - b.flops, a.bytes - b.bytes}; }

  // Unless the ring has gone round since.
  void put(uint64_t number, OperationId operation, Amount amount) {
    if (count_ - number > mask_ + 1) return;
    Event& event = events_[number & mask_];
    event.operation = operation;
    event.flops = amount.flops;
    event.bytes = amount.bytes;
  }

  void lap_until(uint64_t now, OperationId operation, OperationId cause, Amount amount) {
    // Who is moved to another CPU is away for long.
    if (now - at_ > kLong) setting_.cpu = static_cast<uint16_t>(base::current_cpu());
    events_[count_++ & mask_] = {at_,   now,       amount.flops, amount.bytes,
                                 step_, operation, cause,        setting_};
    at_ = now;
  }

  // Has pages for the next events made now, in a lap of its own: the system takes some hundred
  // microseconds for a huge one, which no operation is to be blamed for.
  void make_room();
  void touch_more();
  // Of an empty lane.
  double ticks_of_a_lap();

  static constexpr uint64_t kLong = 1 << 14;  // ticks: some microseconds

  // More than an operation and what is around it can have.
  static constexpr uint64_t kRoom = 2048;

  Events events_;
  uint64_t mask_ = 0;
  uint64_t count_ = 0;       // of events written, those included that were overwritten
  uint64_t touched_ = 0;     // events that there are pages for
  uint64_t room_until_ = 0;  // a count from which on there may be too few of them
  uint64_t at_ = 0;          // where the last lap ended; 0: a new beginning
  uint64_t since_ = 0;       // the last new beginning, of a caller
  uint32_t step_ = 0;
  Setting setting_;
  OperationId current_ = kNoOperation;
  OperationId last_ = kNoOperation;  // that was done
  bool first_tile_ = false;
  int64_t tiles_ = 0;
  int64_t all_tiles_ = 0;
  uint64_t inner_ = 0;
  int64_t tiles_told_ = 0;
  int pieces_ = 0;
  Piece piece_[kMostPieces];

  std::vector<Range> ranges_;
  std::vector<uint32_t> open_ranges_;  // the innermost last
  int64_t ranges_left_out_ = 0;

  std::atomic<bool> busy_{false};  // within a region
  uint32_t calls_ = 0;             // recorded or not
  uint64_t looked_at_ = 0;         // in ticks, what recording costs; 0: not yet
  uint64_t looked_at_count_ = 0;   // of events then
  int depth_ = 0;                  // of regions
  int quiet_ = 0;                  // within so many scopes that record nothing
  uint32_t region_ = 0;            // that was begun last
  uint16_t number_ = 0;            // its own
  uint64_t session_ = 0;           // that the events belong to
  int worker_ = 0;
  int64_t thread_ = 0;  // of the system
  bool owned_ = false;  // by a living thread
  ThreadCounters counters_;
};

// The time from here to the end of the scope goes into what is within the lane's operation.
class InnerTime {
 public:
  explicit InnerTime(Lane* lane) : lane_(lane), since_(lane == nullptr ? 0 : ticks()) {}
  ~InnerTime() {
    if (lane_ != nullptr) lane_->add_inner(ticks() - since_);
  }
  InnerTime(const InnerTime&) = delete;
  InnerTime& operator=(const InnerTime&) = delete;

 private:
  Lane* lane_;
  uint64_t since_;
};

}  // namespace gd::profiling
