#include "profiling/sources.hpp"

#include <atomic>
#include <utility>

#include "base/on_fork.hpp"
#include "profiling/recorder.hpp"

namespace gd::profiling {

namespace {

class Sources : public Numbering<NamedSource> {
 public:
  static Sources& instance() {
    static Sources& all = *new Sources;  // never destroyed: threads may outlive main
    return all;
  }

 private:
  Sources() {
    base::on_fork([] { instance().lock(); }, [] { instance().unlock(); },
                  [] { instance().unlock(); });
  }
};

}  // namespace

SourceNumber::SourceNumber(NamedSource source) {
  static std::atomic<uint64_t> given{0};
  source.serial = ++given;
  id_ = Sources::instance().take(source, !Recorder::idle());
}

SourceNumber::~SourceNumber() {
  if (id_ != kNoSource) Sources::instance().give_back(id_);
}

std::vector<NamedSource> named_sources() { return Sources::instance().all(); }

}  // namespace gd::profiling
