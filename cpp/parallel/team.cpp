#include "parallel/team.hpp"

#include "base/check.hpp"
#include "parallel/cpus.hpp"
#include "parallel/crew.hpp"
#include "parallel/pool.hpp"
#include "profiling/recorder.hpp"

namespace gd::parallel {

Team::Team(int workers) : wanted_(workers) { hire(workers); }

Team::~Team() {
  if (crew_ && forks_ == TeamPool::forks()) crew_->dismiss();
}

void Team::hire(int workers) {
  crew_ = Crew::hire(workers);
  size_ = crew_->size();
  forks_ = TeamPool::forks();
  note_threads_given(workers, size_);
}

template <class Order>
void Team::order(base::FunctionRef<void(Worker&)> f, Order order) {
  if (!crew_) {
    Worker alone(profiling::current_lane());
    f(alone);
    return;
  }
  base::require<base::StateError>(!running_, "a team runs one body at a time");
  if (forks_ != TeamPool::forks()) hire(wanted_);  // the threads stayed behind in the parent
  struct Running {
    bool& flag;
    explicit Running(bool& f) : flag(f) { flag = true; }
    ~Running() { flag = false; }
  } running(running_);
  order(*crew_);
}

void Team::run(base::FunctionRef<void(Worker&)> f) {
  order(f, [&](Crew& crew) { crew.run(f); });
}

void Team::offer(base::FunctionRef<void(Worker&)> f) {
  const bool waits = size_ != 2;
  order(f, [&](Crew& crew) { waits ? crew.run(f) : crew.offer(f); });
}

bool Team::all_here(int64_t patience) {
  return !crew_ || forks_ != TeamPool::forks() || crew_->all_here(patience);
}

TeamLease::~TeamLease() {
  if (team_ != nullptr) TeamPool::instance().give_back(*team_);
}

TeamLease acquire_team(int workers) {
  check_num_threads(workers);
  return TeamLease(TeamPool::instance().take(workers));
}

}  // namespace gd::parallel
