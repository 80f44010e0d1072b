#include "profiling/recorder.hpp"

#if defined(__linux__)
#include <linux/perf_event.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/check.hpp"
#include "cpp/testing.hpp"

using gd::profiling::current_lane;
using gd::profiling::Event;
using gd::profiling::kNoOperation;
using gd::profiling::named_operations;
using gd::profiling::OperationNumber;
using gd::profiling::Recorder;
using gd::profiling::Recording;
using gd::profiling::Region;
using gd::profiling::RegionKind;
using gd::profiling::SourceId;
using gd::profiling::Zone;
using gd::profiling::zone_id;

namespace {

Recorder& recorder() { return Recorder::instance(); }

// One region with `laps` laps of loss in it.
void step_with(int laps, RegionKind kind = RegionKind::step) {
  Region region(kind, Zone::kCaller);
  for (int i = 0; i < laps; ++i) region.lap(Zone::kLoss);
}

int count_of(const std::vector<Event>& events, Zone zone) {
  return static_cast<int>(std::count_if(events.begin(), events.end(), [&](const Event& event) {
    return event.operation == zone_id(zone);
  }));
}

}  // namespace

TEST(operations_have_numbers_of_their_own) {
  const OperationNumber first({Zone::kLoss, Zone::kLoss, "recorder_test", "float32"});
  const OperationNumber again({Zone::kLoss, Zone::kLoss, "recorder_test", "float32"});
  const OperationNumber other({Zone::kLoss, Zone::kLoss, "recorder_test", "float64"});
  CHECK(first.id() != zone_id(Zone::kLoss));
  CHECK_EQ(again.id(), first.id());
  CHECK(other.id() != first.id());
  CHECK(named_operations()[first.id() - 1u].layer == "recorder_test");
  CHECK_EQ(OperationNumber({Zone::kSleep, Zone::kWait, "", ""}).id(), zone_id(Zone::kSleep));
}

TEST(numbers_that_nobody_has_are_given_again) {
  const auto number = [](int i) {
    return OperationNumber({Zone::kLoss, Zone::kLoss, "layer " + std::to_string(i), ""});
  };
  number(0);
  const size_t before = named_operations().size();
  for (int i = 0; i < 100'000; ++i) number(i);  // more than there are numbers
  CHECK_EQ(named_operations().size(), before);
  // Who still has one keeps it, and no number is given twice.
  const OperationNumber kept = number(1);
  const OperationNumber other = number(2);
  CHECK(kept.id() != other.id());
  CHECK_EQ(number(1).id(), kept.id());
  CHECK(named_operations()[kept.id() - 1u].layer == "layer 1");
  CHECK(kept.id() != zone_id(Zone::kLoss));
}

TEST(numbers_stay_while_their_events_are_to_be_read) {
  recorder().start({});
  {
    const OperationNumber gone({Zone::kLoss, Zone::kLoss, "gone", ""});
    Region region(RegionKind::step, Zone::kCaller);
    region.lane()->lap(gone.id());
  }
  const OperationNumber later({Zone::kLoss, Zone::kLoss, "later", ""});
  const Recording recording = recorder().stop();
  const auto named = [&](const Event& event) {
    return recording.operations[event.operation - 1u].layer == "gone";
  };
  CHECK_EQ(std::ranges::count_if(recording.lanes[0].events(), named), 1);
}

TEST(recordings_of_several_threads_take_turns) {
  std::atomic<int> made{0};
  std::atomic<int> wrong{0};
  const auto record = [&] {
    for (int mine = 0; mine < 200;) {
      try {
        recorder().start({1024, 1, false});
      } catch (const gd::base::StateError&) {
        std::this_thread::yield();
        continue;
      }
      step_with(2);
      const Recording recording = recorder().stop();
      const bool whole = recording.nanoseconds >= 0 && recording.steps >= 1 &&
                         !recording.lanes.empty() && recording.nanoseconds < 60'000'000'000;
      wrong += whole ? 0 : 1;
      ++made, ++mine;
    }
  };
  std::thread threads[3];
  for (std::thread& thread : threads) thread = std::thread(record);
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
  CHECK_EQ(made.load(), 600);
  CHECK(Recorder::idle());
}

TEST(no_lane_without_a_recording) {
  const Region region(RegionKind::step, Zone::kCaller);
  CHECK(region.lane() == nullptr);
  CHECK(current_lane() == nullptr);
}

TEST(laps_leave_no_gap) {
  recorder().start({});
  for (int i = 0; i < 10; ++i) step_with(3);
  const Recording recording = recorder().stop();
  CHECK_EQ(recording.steps, 10);
  CHECK_EQ(recording.lanes.size(), 1u);
  const std::vector<Event>& events = recording.lanes[0].events();
  CHECK_EQ(count_of(events, Zone::kLoss), 30);
  CHECK_EQ(count_of(events, Zone::kStep), 10);
  CHECK_EQ(count_of(events, Zone::kCaller), 11);  // before each, and to the end
  CHECK_EQ(events.front().begin, 0u);
  for (size_t i = 1; i < events.size(); ++i) CHECK_EQ(events[i].begin, events[i - 1].end);
  const auto rest = static_cast<int64_t>(recording.nanoseconds - events.back().end);
  CHECK(rest >= 0 && rest < 1000);
  CHECK_EQ(events.back().step, 10u);
}

TEST(amounts_are_shared_by_tiles_and_add_up) {
  recorder().start({});
  {
    Region region(RegionKind::step, Zone::kCaller);
    const OperationNumber number({Zone::kLoss, Zone::kLoss, "shares", ""});
    const auto operation = number.id();
    for (const auto& [done, first] : {std::pair{5, false}, {2, true}, {0, false}}) {
      region.lane()->begin(operation);
      region.lane()->did_tiles(done, 7, first);
      region.lane()->end({1001, 15}, zone_id(Zone::kUpdate), {100, 7});
    }
  }
  const Recording recording = recorder().stop();
  int64_t flops = 0;
  int64_t bytes = 0;
  for (const Event& event : recording.lanes[0].events()) {
    flops += event.flops;
    bytes += event.bytes;
  }
  CHECK_EQ(flops, 1001 + 100);
  CHECK_EQ(bytes, 15 + 7);
}

TEST(time_within_an_operation_is_told_apart) {
  recorder().start({});
  {
    Region region(RegionKind::step, Zone::kCaller);
    region.lane()->begin(zone_id(Zone::kWeightGradient));
    const uint64_t start = gd::profiling::ticks();
    {
      const gd::profiling::InnerTime inner(region.lane());
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    while (gd::profiling::ticks() == start) {
    }
    region.lane()->end({10, 0}, zone_id(Zone::kUpdate), {20, 0});
  }
  const Recording recording = recorder().stop();
  uint64_t inner = 0;
  for (const Event& event : recording.lanes[0].events()) {
    if (event.operation == zone_id(Zone::kUpdate)) {
      inner = event.end - event.begin;
      CHECK_EQ(event.flops, 20);
    }
    if (event.operation == zone_id(Zone::kWeightGradient)) {
      CHECK_EQ(event.flops, 10);
    }
  }
  CHECK(inner >= 2'000'000);
}

// As a product whose operands all workers pack together: they wait within it.
TEST(amounts_go_with_the_laps_that_did_them) {
  recorder().start({});
  {
    Region region(RegionKind::step, Zone::kCaller);
    gd::profiling::Lane& lane = *region.lane();
    lane.begin(zone_id(Zone::kWeightGradient));
    lane.begin_wait();  // packing, before anything is multiplied
    lane.end_wait(0);
    for (const int tiles : {1, 2, 2}) {
      if (tiles == 2) {  // the update comes with the last blocks of a sum
        const gd::profiling::InnerTime inner(&lane);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      lane.did_tiles(tiles, tiles, tiles == 1);
      lane.begin_wait();
      lane.end_wait(0);
    }
    lane.end({1003, 81}, zone_id(Zone::kUpdate), {100, 16});
  }
  const Recording recording = recorder().stop();
  std::vector<int64_t> products;
  std::vector<int64_t> updates;
  for (const Event& event : recording.lanes[0].events()) {
    if (event.operation == zone_id(Zone::kWeightGradient)) products.push_back(event.flops);
    if (event.operation == zone_id(Zone::kUpdate)) {
      updates.push_back(event.flops);
      CHECK(event.flops == 0 || event.end - event.begin >= 1'000'000);
    }
  }
  CHECK(products == (std::vector<int64_t>{0, 200, 400, 403, 0}));
  CHECK(updates == (std::vector<int64_t>{60, 40, 0}));
}

// More waits than there are notes of, and an operation that does not tell what was within it.
TEST(amounts_add_up_after_any_number_of_waits) {
  for (const int waits : {1, 255, 256, 257, 900}) {
    for (const bool names : {false, true}) {
      recorder().start({});
      {
        Region region(RegionKind::step, Zone::kCaller);
        gd::profiling::Lane& lane = *region.lane();
        lane.begin(zone_id(Zone::kWeightGradient));
        for (int i = 0; i < waits; ++i) {
          lane.did_tiles(2, 3, i == 0);
          lane.add_inner(1);
          lane.begin_wait();
          lane.end_wait(0);
        }
        const gd::profiling::Amount within{names ? 6000 : 0, 0};
        lane.end({9001, 0}, names ? zone_id(Zone::kUpdate) : gd::profiling::kNoOperation, within);
      }
      int64_t products = 0;
      int64_t updates = 0;
      for (const Event& event : recorder().stop().lanes[0].events()) {
        CHECK(event.operation != gd::profiling::kNoOperation);
        if (event.operation == zone_id(Zone::kWeightGradient)) products += event.flops;
        if (event.operation == zone_id(Zone::kUpdate)) updates += event.flops;
      }
      const int64_t all = 3 * waits;
      CHECK_EQ(products, 9001 / all * 2 * waits + 9001 % all);
      CHECK_EQ(updates, names ? 6000 / all * 2 * waits + 6000 % all : 0);
    }
  }
}

TEST(the_ring_keeps_the_newest_and_counts_the_rest) {
  recorder().start({1024, 1, false});
  for (int i = 0; i < 10'000; ++i) step_with(1);
  const Recording recording = recorder().stop();
  const auto& lane = recording.lanes[0];
  const std::vector<Event> events = lane.events();
  CHECK_EQ(events.size(), 1024u);
  CHECK(lane.dropped >= 30'001 - 1024);  // beside those of the recorder itself
  CHECK(lane.dropped <= 30'011 - 1024);
  CHECK_EQ(events.back().step, 10'000u);
  CHECK_EQ(recording.bytes_a_thread, static_cast<int64_t>(1024 * sizeof(Event)));
  for (size_t i = 1; i < 1024; ++i) CHECK(events[i].begin >= events[i - 1].begin);
}

TEST(every_third_step_is_recorded) {
  recorder().start({4096, 3, false});
  for (int i = 0; i < 10; ++i) step_with(1);
  const Recording recording = recorder().stop();
  CHECK_EQ(recording.steps, 10);
  const auto& events = recording.lanes[0].events();
  CHECK_EQ(count_of(events, Zone::kLoss), 4);  // 1, 4, 7, 10
  CHECK_EQ(count_of(events, Zone::kCaller), 0);
  for (const Event& event : events) CHECK_EQ(event.step % 3, 1u);
}

TEST(steps_that_take_no_longer_than_recording_them_are_recorded_in_stretches) {
  recorder().start({1 << 20, 0, false});
  constexpr uint32_t kSteps = 1 << 16;  // some thousand of them are not disturbed by anybody
  for (uint32_t i = 0; i < kSteps; ++i) step_with(1);
  const Recording recording = recorder().stop();
  CHECK_EQ(recording.steps, int64_t{kSteps});
  CHECK(recording.every > 1);
  CHECK(recording.lanes[0].dropped == 0);
  std::vector<int> events_of(kSteps + 1);
  int alone = 0;  // steps with no time of the caller's before them
  for (const Event& event : recording.lanes[0].events()) {
    if (event.operation == zone_id(Zone::kRecorder)) continue;
    ++events_of.at(event.step);
    if (event.operation == zone_id(Zone::kCaller)) --alone;
    if (event.operation == zone_id(Zone::kLoss)) ++alone;
  }
  CHECK_EQ(events_of[1], 3);
  int stretches = 0;
  for (uint32_t step = kSteps / 2; step < kSteps; ++step) {
    const bool recorded = (step - 1) / 16 % recording.every == 0;
    const bool first = (step - 1) % 16 == 0;
    stretches += recorded && first ? 1 : 0;
    CHECK_EQ(events_of[step], recorded ? (first ? 2 : 3) : 0);
  }
  CHECK(stretches > 0);
  CHECK(alone >= stretches - 1);
}

TEST(steps_that_take_long_are_all_recorded) {
  recorder().start({1 << 14, 0, false});
  constexpr int kSteps = 2100;  // it looks after 1,024
  for (int i = 0; i < kSteps; ++i) {
    step_with(1);
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
    while (std::chrono::steady_clock::now() < until) {
    }
  }
  const Recording recording = recorder().stop();
  CHECK_EQ(recording.every, 1);
  CHECK_EQ(count_of(recording.lanes[0].events(), Zone::kLoss), kSteps);
}

TEST(one_recording_at_a_time) {
  CHECK_THROWS(gd::base::StateError, recorder().stop());
  recorder().start({});
  CHECK_THROWS(gd::base::StateError, recorder().start({}));
  recorder().stop();
  CHECK_THROWS(gd::base::ValueError, recorder().start({1, 1, false}));
  CHECK_THROWS(gd::base::ValueError, recorder().start({4096, -1, false}));
  CHECK(!Recorder::on());
}

TEST(stop_waits_for_threads_within_regions) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> go_on{true};
    std::atomic<int> inside{0};
    std::thread other([&] {
      while (go_on) {
        const Region region(RegionKind::step, Zone::kCaller);
        ++inside;
        if (region.lane() != nullptr) {
          for (int i = 0; i < 50; ++i) region.lane()->lap(zone_id(Zone::kLoss));
        }
      }
    });
    while (inside == 0) std::this_thread::yield();
    recorder().start({4096, 1, false});
    const int before = inside;
    while (inside < before + 3) std::this_thread::yield();
    const Recording recording = recorder().stop();
    go_on = false;
    other.join();
    CHECK_EQ(recording.lanes.size(), 2u);
    for (const auto& lane : recording.lanes) CHECK(!lane.events().empty());
  }
}

TEST(regions_within_regions_leave_the_time_to_the_outer) {
  recorder().start({});
  {
    Region outer(RegionKind::step, Zone::kCaller);
    {
      const Region inner(RegionKind::other, Zone::kCallback);
      CHECK(inner.lane() == outer.lane());
    }
    CHECK(current_lane() == outer.lane());
  }
  CHECK(current_lane() == nullptr);
  const Recording recording = recorder().stop();
  CHECK_EQ(count_of(recording.lanes[0].events(), Zone::kCallback), 0);
}

TEST(marks_name_the_time_before_them) {
  recorder().start({});
  gd::profiling::mark(Zone::kCallback);
  const Recording recording = recorder().stop();
  CHECK_EQ(count_of(recording.lanes[0].events(), Zone::kCallback), 1);
  gd::profiling::mark(Zone::kCallback);  // without a recording nothing
}

#if defined(__linux__)

TEST(counters_count_or_tell_why_not) {
  gd::profiling::ThreadCounters counters;
  if (counters.open()) {
    const auto values = counters.read();
    CHECK(!values || (*values)[1] > 0);
  } else {
    CHECK(counters.error().size() > 10);
    CHECK(!counters.read());
  }
  // The same way with events that any kernel has.
  constexpr gd::profiling::CounterEvent clock{PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK};
  if (!counters.open({clock, clock, clock})) {
    CHECK(counters.error().size() > 10);  // a container may forbid even those
    return;
  }
  volatile double sink = 0;
  for (int i = 0; i < 1'000'000; ++i) sink = sink + i;
  const auto values = counters.read();
  CHECK(values.has_value());
  if (values) CHECK((*values)[0] > 100'000);  // nanoseconds
  counters.close();
  CHECK(!counters.read());
}

#endif

TEST(events_tell_whose_they_are_and_what_for) {
  using gd::profiling::Purpose;
  const gd::profiling::SourceNumber first({.kind = "trainer", .network = "4-2"});
  const gd::profiling::SourceNumber second({.kind = "trainer", .network = "4-2"});
  CHECK(first.id() != second.id());
  recorder().start({});
  for (int i = 0; i < 3; ++i) {
    {
      Region step(RegionKind::step, Zone::kCaller, {first.id(), Purpose::training, 32, 2});
    }
    Region other(RegionKind::other, Zone::kCaller, {second.id(), Purpose::validation});
    other.lap(Zone::kLoss);
    {
      const Region inner(RegionKind::other, Zone::kStep, {first.id(), Purpose::inference});
      other.lap(Zone::kDenseForward);
    }
    other.lap(Zone::kUpdate);
  }
  const Recording recording = recorder().stop();
  CHECK_EQ(recording.steps, 3);
  CHECK_EQ(recording.counts.size(), 2u);
  CHECK_EQ(recording.counts[0].steps, 3);
  CHECK_EQ(recording.counts[0].most_rows, 32);
  CHECK_EQ(recording.counts[0].most_threads, 2);
  CHECK_EQ(recording.counts[1].steps, 0);
  CHECK(recording.sources[second.id() - 1u].network == "4-2");
  int seen = 0;
  for (const Event& event : recording.lanes[0].events()) {
    const auto is = [&](Zone zone, SourceId source, Purpose purpose) {
      if (event.operation != zone_id(zone)) return;
      ++seen;
      CHECK_EQ(event.setting.source, source);
      CHECK(event.setting.purpose == purpose);
    };
    is(Zone::kLoss, second.id(), Purpose::validation);
    is(Zone::kDenseForward, first.id(), Purpose::inference);
    is(Zone::kUpdate, second.id(), Purpose::validation);  // as before the inner one
  }
  CHECK_EQ(seen, 9);
}

TEST(what_is_beside_training_is_recorded_as_often) {
  using gd::profiling::Purpose;
  recorder().start({4096, 4, false});
  for (int i = 0; i < 20; ++i) {
    Region region(RegionKind::other, Zone::kCaller, {.purpose = Purpose::inference});
    region.lap(Zone::kLoss);
  }
  for (int i = 0; i < 8; ++i) {
    {
      Region before(RegionKind::other, Zone::kCaller);
      before.lap(Zone::kGather);
    }
    step_with(1);
  }
  const Recording recording = recorder().stop();
  const auto& events = recording.lanes[0].events();
  CHECK_EQ(count_of(events, Zone::kLoss), 5 + 2);
  CHECK_EQ(count_of(events, Zone::kGather), 2);  // with the step that follows
  for (const Event& event : events) {
    if (event.operation == zone_id(Zone::kGather)) CHECK_EQ(event.step % 4, 1u);
  }
}

TEST(two_threads_that_call_are_two_teams) {
  recorder().start({});
  step_with(1);
  std::thread([] { step_with(1); }).join();
  const Recording recording = recorder().stop();
  CHECK_EQ(recording.lanes.size(), 2u);
  for (const auto& lane : recording.lanes) {
    for (const Event& event : lane.events()) CHECK_EQ(event.setting.team, lane.number);
  }
}

TEST(ranges_have_names_and_depths) {
  CHECK_EQ(recorder().begin_range("before"), 0u);
  recorder().start({});
  const uint64_t outer = recorder().begin_range("outer");
  const uint64_t inner = recorder().begin_range("inner");
  step_with(1);
  recorder().end_range(inner);
  recorder().end_range(outer);
  recorder().end_range(outer);  // once more does nothing
  recorder().begin_range("open");
  const Recording recording = recorder().stop();
  const auto& ranges = recording.lanes[0].ranges;
  CHECK_EQ(ranges.size(), 3u);
  CHECK(ranges[0].name == "outer" && ranges[1].name == "inner" && ranges[2].name == "open");
  CHECK_EQ(ranges[0].depth, 0);
  CHECK_EQ(ranges[1].depth, 1);
  CHECK_EQ(ranges[2].depth, 0);
  CHECK(ranges[0].begin <= ranges[1].begin && ranges[1].end <= ranges[0].end);
  CHECK(ranges[2].end <= static_cast<uint64_t>(recording.nanoseconds) + 1000);
  // One that began in a recording that is over does not end in the next.
  recorder().start({});
  recorder().begin_range("next");
  recorder().end_range(outer);
  const Recording next = recorder().stop();
  CHECK_EQ(next.lanes[0].ranges.size(), 1u);
  CHECK(next.lanes[0].ranges[0].name == "next");
}

TEST(what_was_converted_is_named) {
  recorder().start({});
  step_with(1);
  const uint64_t since = gd::profiling::ticks();
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  recorder().mark_since(since, Zone::kCaller, {Zone::kConvert, Zone::kData, "x: float64", ""});
  step_with(1);
  const Recording recording = recorder().stop();
  int found = 0;
  for (const Event& event : recording.lanes[0].events()) {
    const auto& named = recording.operations[event.operation - 1u];
    if (named.zone != Zone::kConvert) continue;
    ++found;
    CHECK(named.layer == "x: float64");
    CHECK(event.end - event.begin >= 900'000);
  }
  CHECK_EQ(found, 1);
}

// A ring of several huge pages: fresh ones are made between operations, in laps of their own.
TEST(fresh_memory_is_the_recorders) {
  recorder().start({1 << 18, 1, false});
  for (int i = 0; i < 60'000; ++i) step_with(1);
  const Recording recording = recorder().stop();
  const auto& events = recording.lanes[0].events();
  const int fresh = count_of(events, Zone::kRecorder);
  CHECK(fresh >= 3 && fresh <= 30);
  for (size_t i = 1; i < events.size(); ++i) CHECK_EQ(events[i].begin, events[i - 1].end);
}

TEST(memory_is_looked_at) {
  recorder().start({});
  step_with(1);
  const Recording recording = recorder().stop();
  CHECK(recording.memory.size() >= 2);
  for (const auto& sample : recording.memory) CHECK(sample.own >= 0);
#if defined(__linux__)
  CHECK(recording.memory.front().process > 1'000'000);
#endif
}

TEST(within_a_quiet_scope_nothing_is_recorded) {
  recorder().start({});
  {
    const Region region(RegionKind::step, Zone::kCaller);
    CHECK(current_lane() == region.lane());
    {
      const gd::profiling::Quiet quiet;
      CHECK(current_lane() == nullptr);
    }
    CHECK(current_lane() == region.lane());
  }
  recorder().stop();
}
