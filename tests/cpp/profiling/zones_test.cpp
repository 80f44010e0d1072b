#include "profiling/zones.hpp"

#include <set>
#include <string>

#include "cpp/testing.hpp"

using gd::profiling::kZones;
using gd::profiling::Zone;

TEST(zone_names_are_unique_and_plain) {
  std::set<std::string> seen;
  for (const Zone zone : kZones) {
    const std::string name = gd::profiling::name(zone);
    CHECK(!name.empty());
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
    CHECK(seen.insert(name).second);
    CHECK(std::string(gd::profiling::what(zone)).size() > 10);
  }
  CHECK_EQ(seen.size(), kZones.size());
}

TEST(zone_names_belong_to_their_enumerators) {
  CHECK_EQ(std::string(gd::profiling::name(Zone::kWeightGradient)), "weight_gradient");
  CHECK_EQ(std::string(gd::profiling::name(Zone::kSleep)), "sleep");
  CHECK_EQ(std::string(gd::profiling::name(static_cast<Zone>(255))), "unknown");
}
