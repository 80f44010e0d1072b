#include "profiling/zones.hpp"

namespace gd::profiling {

const char* name(Zone zone) {
  switch (zone) {
#define GD_ZONE(id, text, what) \
  case Zone::id:                \
    return text;
    GD_PROFILING_ZONES(GD_ZONE)
#undef GD_ZONE
  }
  return "unknown";
}

const char* what(Zone zone) {
  switch (zone) {
#define GD_ZONE(id, text, what) \
  case Zone::id:                \
    return what;
    GD_PROFILING_ZONES(GD_ZONE)
#undef GD_ZONE
  }
  return "unknown";
}

}  // namespace gd::profiling
