#include "cpp/kernels/bf16_support.hpp"

using gd::kernels::Bf16Pack;
using gd::testing::Matrix;
using gd::testing::PanelOrder;

namespace {

using Pack = void (*)(const Bf16Pack&);

constexpr int64_t kDepths[] = {0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 95, 130};

class PackTest {
 public:
  PackTest(const char* name, Pack pack, const PanelOrder& order)
      : name_(name), pack_(pack), order_(order), from_(1 << 15), to_(1 << 15), want_(1 << 15) {}

  // Source and panels end at forbidden pages, and between the panels is a gap.
  void run(int64_t depth, int64_t width, int64_t from_depth, int64_t from_width, bool split,
           const std::vector<float>& values) {
    const int64_t last = depth == 0 ? -1 : (depth - 1) * from_depth + (width - 1) * from_width;
    from_.shape(1, last + 1).fill(values);
    const int64_t panels = split ? 2 : 1;
    const int64_t size = order_.size(depth);
    Bf16Pack block{depth, width, from_.data(), from_depth, from_width, nullptr, 0};
    for (Matrix<uint16_t>* panel : {&to_, &want_}) {
      panel->shape(panels, size, 40);
      block.to = panel->data();
      block.low = split ? panel->stride() : 0;
      if (panel == &to_) {
        pack_(block);
      } else {
        gd::testing::pack_plainly(block, order_);
      }
    }
    bool same = to_.surroundings_untouched();
    for (int64_t panel = 0; panel < panels; ++panel) {
      for (int64_t i = 0; i < size; ++i) {
        same = same && gd::testing::same_bf16(to_(panel, i), want_(panel, i));
      }
    }
    CHECK_AT(same, name_, " ", depth, "x", width, " by ", from_depth, ", ", from_width,
             split ? " split" : "");
  }

  // What becomes of one number, high and low.
  std::vector<uint16_t> rounded(float x) {
    from_.shape(1, 1)(0, 0) = x;
    to_.shape(2, order_.size(1), 8);
    pack_({1, 1, from_.data(), 1, 1, to_.data(), to_.stride()});
    return {to_(0, 0), to_(1, 0)};
  }

 private:
  const char* name_;
  Pack pack_;
  PanelOrder order_;
  Matrix<float> from_;
  Matrix<uint16_t> to_, want_;
};

}  // namespace

TEST(bf16_packing_rounds_orders_and_fills_up) {
  const std::vector<float> values = gd::testing::mixed<float>(5003, 31);
  gd::testing::for_every_bf16_packing([&](const char* name, Pack pack, const PanelOrder& order) {
    PackTest test(name, pack, order);
    for (const int64_t depth : kDepths) {
      for (int64_t width = 1; width <= order.width; ++width) {
        for (const bool split : {false, true}) {
          test.run(depth, width, order.width + 3, 1, split, values);  // width side by side
          test.run(depth, width, 1, depth + 5, split, values);        // depth side by side
          if (width % 5 != 1) continue;
          test.run(depth, width, 2, 2 * depth + 1, split, values);  // neither
          test.run(depth, width, 0, 1, split, values);
          test.run(depth, width, 1, 0, split, values);
        }
      }
    }
  });
}

TEST(bf16_rounds_to_nearest_even) {
  const float infinity = std::numeric_limits<float>::infinity();
  struct Case {
    float x;
    uint16_t want;
  };
  const Case cases[] = {
      {0.0f, 0x0000},
      {-0.0f, 0x8000},
      {1.0f, 0x3F80},
      {-2.5f, 0xC020},
      {0x1.01p0f, 0x3F80},      // half way between 0x3F80 and 0x3F81: the even one
      {0x1.010002p0f, 0x3F81},  // just above
      {0x1.03p0f, 0x3F82},      // half way between 0x3F81 and 0x3F82
      {0x1.02fffep0f, 0x3F81},  // just below
      {-0x1.03p0f, 0xBF82},
      {0x1.ffp0f, 0x4000},    // up into the next exponent
      {0x1.fep127f, 0x7F7F},  // the largest
      {0x1.fefffep127f, 0x7F7F},
      {0x1.ffp127f, 0x7F80},  // from here on infinity is nearer
      {-infinity, 0xFF80},
      {0x1p-126f, 0x0080},  // the smallest normal number
      {0x1p-127f, 0x0000},  // denormals are zeros
  };
  gd::testing::for_every_bf16_packing([&](const char* name, Pack pack, const PanelOrder& order) {
    PackTest test(name, pack, order);
    for (const Case& one : cases) {
      CHECK_AT(test.rounded(one.x)[0] == one.want, name, " ", one.x);
      CHECK_AT(gd::testing::round_to_bf16(one.x) == one.want, one.x);
    }
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK_AT(std::isnan(gd::testing::widen_bf16(test.rounded(nan)[0])), name);
    // A NaN whose payload would be rounded away.
    const uint32_t bits = 0x7F800001;
    float signalling;
    std::memcpy(&signalling, &bits, sizeof bits);
    CHECK_AT(std::isnan(gd::testing::widen_bf16(test.rounded(signalling)[0])), name);
  });
}

// x = high + low + rest with |rest| <= 2^-16 |x|: two roundings to 8 bits.
TEST(bf16_parts_hold_sixteen_bits) {
  const std::vector<float> values = gd::testing::normals<float>(2000, 5);
  gd::testing::for_every_bf16_packing([&](const char* name, Pack pack, const PanelOrder& order) {
    PackTest test(name, pack, order);
    for (const float x : values) {
      const auto parts = test.rounded(x);
      const double sum = static_cast<double>(gd::testing::widen_bf16(parts[0])) +
                         static_cast<double>(gd::testing::widen_bf16(parts[1]));
      CHECK_AT(std::abs(sum - x) <= 0x1p-16 * std::abs(x), name, " ", x);
    }
  });
}
