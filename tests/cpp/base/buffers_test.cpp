#include <cstdint>
#include <string>
#include <utility>

#include "base/aligned_buffer.hpp"
#include "base/check.hpp"
#include "base/matrix_view.hpp"
#include "cpp/base/support.hpp"

using gd::base::AlignedBuffer;
using gd::base::checked_product;
using gd::base::MatrixView;
using gd::base::padded;
using gd::base::ValueError;

TEST(checked_product_multiplies_or_names_what_overflowed) {
  CHECK_EQ(checked_product(0, INT64_MAX, "x"), 0);
  CHECK_EQ(checked_product(3, 5, "x"), 15);
  CHECK_EQ(checked_product(1, INT64_MAX, "x"), INT64_MAX);
  CHECK_EQ(checked_product(int64_t{1} << 31, int64_t{1} << 31, "x"), int64_t{1} << 62);
  CHECK_THROWS(ValueError, checked_product(2, INT64_MAX, "x"));
  CHECK_THROWS(ValueError, checked_product(int64_t{1} << 32, int64_t{1} << 31, "x"));
  std::string said;
  try {
    checked_product(int64_t{1} << 40, int64_t{1} << 41, "rows of the table");
  } catch (const ValueError& error) {
    said = error.what();
  }
  CHECK(said.find("rows of the table") != std::string::npos);
  CHECK(said.find("1099511627776") != std::string::npos);
}

TEST(require_throws_what_it_was_asked_for) {
  gd::base::require<ValueError>(true, "never");
  CHECK_THROWS(gd::base::StateError, gd::base::require<gd::base::StateError>(false, "x"));
  CHECK_THROWS(gd::base::TypeError, gd::base::require<gd::base::TypeError>(false, "x"));
  CHECK_EQ(gd::base::message("a ", 1, ' ', 2.5), std::string("a 1 2.5"));
  const std::string text = "b";
  CHECK_EQ(gd::base::message(text, std::string("c"), text.c_str(), true, uint8_t{65}),
           std::string("bcb165"));
  CHECK_EQ(gd::base::message(int64_t{-1} << 63, ' ', ~uint64_t{0}, ' ', 1.0f / 3, ' ', 1e300),
           std::string("-9223372036854775808 18446744073709551615 0.333333 1e+300"));
}

TEST(padded_rounds_up_to_cache_lines) {
  CHECK_EQ(padded<float>(0), 0);
  CHECK_EQ(padded<float>(1), 16);
  CHECK_EQ(padded<float>(16), 16);
  CHECK_EQ(padded<float>(17), 32);
  CHECK_EQ(padded<double>(1), 8);
  CHECK_EQ(padded<double>(8), 8);
  CHECK_EQ(padded<double>(9), 16);
}

namespace {

template <class T>
void check_buffers() {
  for (const int64_t size : {1, 7, 16, 17, 1000, (3 << 20) + 5}) {  // the last on huge pages
    AlignedBuffer<T> buffer(size);
    CHECK_EQ(buffer.size(), size);
    CHECK_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    CHECK(buffer.bytes() >= size * static_cast<int64_t>(sizeof(T)));
    CHECK_EQ(buffer.bytes() % 64, 0);
    for (int64_t i = 0; i < buffer.bytes() / static_cast<int64_t>(sizeof(T)); ++i) {
      CHECK_EQ(buffer.data()[i], T(0));
    }
    std::memset(buffer.data(), 0x5a, static_cast<size_t>(buffer.bytes()));  // for the next to find
  }
}

}  // namespace

TEST(buffers_are_aligned_and_zero) {
  check_buffers<float>();
  check_buffers<double>();
}

TEST(an_empty_buffer_has_no_memory) {
  const AlignedBuffer<float> nothing;
  const AlignedBuffer<float> none(0);
  CHECK(nothing.data() == nullptr && none.data() == nullptr);
  CHECK_EQ(none.size(), 0);
  CHECK_EQ(none.bytes(), 0);
}

TEST(a_buffer_moves_with_its_memory) {
  AlignedBuffer<double> from(5);
  from.data()[4] = 3.0;
  const double* at = from.data();
  const AlignedBuffer<double> to = std::move(from);
  CHECK(to.data() == at);
  CHECK_EQ(to.data()[4], 3.0);
  CHECK_EQ(to.size(), 5);
}

TEST(a_buffer_beyond_the_address_space_is_an_error) {
  CHECK_THROWS(ValueError, AlignedBuffer<double>(INT64_MAX / 2));
}

TEST(matrix_view_reads_rows_with_their_stride) {
  double values[12];
  for (int i = 0; i < 12; ++i) values[i] = i;
  const MatrixView<double> tight(values, 3, 4);
  CHECK_EQ(tight.stride, 4);
  CHECK_EQ(tight(2, 1), 9.0);
  const MatrixView<double> wide(values, 2, 4, 6);
  CHECK_EQ(wide(1, 3), 9.0);
  CHECK(wide.row(1) == values + 6);
  wide(1, 0) = -1;
  CHECK_EQ(values[6], -1.0);
  const MatrixView<const double> reading = wide;
  CHECK_EQ(reading(1, 0), -1.0);
  CHECK_EQ(reading.rows, 2);
  CHECK_EQ(reading.stride, 6);
}
