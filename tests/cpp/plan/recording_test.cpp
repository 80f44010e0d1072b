// What a recording holds of a plan's steps: everything that each worker did, without gaps, and all
// of the arithmetic.

#include <map>

#include "cpp/plan/support.hpp"
#include "profiling/recorder.hpp"

using gd::profiling::Event;
using gd::profiling::named_operations;
using gd::profiling::Recorder;
using gd::profiling::Recording;
using gd::profiling::Region;
using gd::profiling::RegionKind;
using gd::profiling::Zone;
using gd::testing::Samples;
using gd::testing::stack;
using gd::testing::Training;

namespace {

constexpr int kSteps = 5;

struct Shape {
  std::vector<int64_t> units;
  int64_t inputs;
  int64_t rows;
  int workers;
  double clip = 0;
};

template <class T>
Recording record(const Shape& shape, int64_t* flops) {
  Training<T> training(stack(shape.units, "relu", "identity"), shape.inputs, "mse", shape.rows,
                       shape.workers, false, shape.clip);
  const Samples<T> samples(shape.rows, shape.inputs, shape.units.back(), 1);
  Recorder::instance().start({});
  for (int i = 0; i < kSteps; ++i) {
    const Region region(RegionKind::step, Zone::kCaller);
    training.step(samples.batch(shape.rows, false));
  }
  *flops = training.plan().flops(shape.rows);
  return Recorder::instance().stop();
}

}  // namespace

// By samples, by tiles with the update in the gradient's tiles, and with clipping before the
// update; in one piece and in two.
TEST(recorded_arithmetic_is_the_plans) {
  for (const Shape& shape :
       {Shape{{64, 64, 10}, 10, 512, 1}, Shape{{64, 64, 10}, 10, 512, 4},
        Shape{{64, 64, 10}, 10, 512, 4, 0.1}, Shape{{512, 512, 10}, 96, 128, 1},
        Shape{{512, 512, 10}, 96, 128, 2}, Shape{{512, 512, 10}, 96, 128, 3, 0.1},
        Shape{{256, 100}, 300, 4096, 2}, Shape{{1030, 1030}, 1030, 520, 2}}) {
    int64_t flops = 0;
    const Recording recording = record<float>(shape, &flops);
    int64_t recorded = 0;
    std::map<uint32_t, int64_t> by_step;
    for (const auto& lane : recording.lanes) {
      CHECK_EQ(lane.dropped, 0);
      const std::vector<Event> events = lane.events();
      for (size_t i = 0; i < events.size(); ++i) {
        const Event& event = events[i];
        recorded += event.flops;
        by_step[event.step] += event.flops;
        if (i > 0) CHECK_EQ(event.begin, events[i - 1].end);
      }
    }
    CHECK_EQ(recorded, kSteps * flops);
    for (uint32_t step = 1; step <= kSteps; ++step) CHECK_EQ(by_step[step], flops);
  }
}

TEST(recorded_waits_name_what_was_waited_for) {
  int64_t flops = 0;
  // Three: of two the hired one may be late for a stage, and then nobody waits.
  const Recording recording = record<float>({{512, 512, 10}, 96, 128, 3}, &flops);
  CHECK_EQ(recording.lanes.size(), 3u);
  const auto operations = named_operations();
  for (const auto& lane : recording.lanes) {
    int waits = 0;
    for (const auto& event : lane.events()) {
      const auto& operation = operations[event.operation - 1];
      if (operation.phase != Zone::kWait) {
        CHECK_EQ(event.cause, gd::profiling::kNoOperation);
        continue;
      }
      ++waits;
      const bool named = event.cause != gd::profiling::kNoOperation;
      CHECK(named);
      if (named) CHECK(operations[event.cause - 1].phase != Zone::kWait);
    }
    CHECK(waits >= kSteps * 5);
  }
}

TEST(recorded_operations_tell_layer_and_arithmetic) {
  int64_t flops = 0;
  const Recording recording = record<double>({{512, 10}, 96, 128, 1}, &flops);
  const auto operations = named_operations();
  std::map<std::string, int> seen;
  for (const auto& event : recording.lanes[0].events()) {
    const auto& operation = operations[event.operation - 1];
    ++seen[gd::testing::text(gd::profiling::name(operation.zone), " ", operation.layer, " ",
                             operation.arithmetic)];
  }
  CHECK_EQ(seen["dense_forward 0 float64"], kSteps);
  CHECK_EQ(seen["weight_gradient 1 float64"], kSteps);
  CHECK_EQ(seen["update 1 float64"], kSteps);  // the bias's is part of its gradient
}

// Recording must not reach the result.
TEST(recorded_steps_have_the_same_bits) {
  const Samples<float> samples(512, 10, 10, 1);
  std::vector<float> values[2];
  for (const bool recorded : {false, true}) {
    Training<float> training(stack({64, 64, 10}, "relu", "identity"), 10, "mse", 512, 3);
    if (recorded) Recorder::instance().start({});
    for (int i = 0; i < kSteps; ++i) {
      const Region region(RegionKind::step, Zone::kCaller);
      training.step(samples.batch(512, false));
    }
    if (recorded) Recorder::instance().stop();
    values[recorded] = training.values();
  }
  CHECK_SAME(values[0], values[1]);
}
