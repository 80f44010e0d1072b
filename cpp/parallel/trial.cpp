#include "parallel/trial.hpp"

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>
#include <system_error>
#include <thread>

#include "parallel/wait.hpp"

#if !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace gd::parallel {
namespace {

// As OpenMP reads it: "512k", in kilobytes where there is no unit; 0 for what it would ignore.
size_t parsed_stack_size(const char* text) {
  if (text == nullptr) return 0;
  constexpr std::string_view kBlank = " \t\n";
  std::string_view rest = text;
  const auto skip = [&] {
    const auto at = rest.find_first_not_of(kBlank);
    rest.remove_prefix(at == rest.npos ? rest.size() : at);
  };
  skip();
  size_t size = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
  if (error != std::errc{}) return 0;
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  skip();
  int shift = 10;
  if (!rest.empty()) {
    constexpr std::string_view kUnits = "bkmg";
    const auto unit = kUnits.find(static_cast<char>(rest.front() | 0x20));
    if (unit == kUnits.npos) return 0;
    shift = 10 * static_cast<int>(unit);
    rest.remove_prefix(1);
    skip();
  }
  return rest.empty() && size <= SIZE_MAX >> shift ? size << shift : 0;
}

// Read when this library is loaded, as OpenMP does.
const size_t openmp_stack_size = [] {
  for (const char* name : {"OMP_STACKSIZE", "GOMP_STACKSIZE", "KMP_STACKSIZE"}) {
    if (const size_t size = parsed_stack_size(std::getenv(name))) return size;
  }
  return size_t{0};
}();

#if defined(_WIN32)
// Of the usual stack size: no other can be asked for.
class Starter {
 public:
  using Handle = std::thread;
  explicit operator bool() const { return true; }
  bool start(Handle& handle, void* (*run)(void*), void* argument) {
    try {
      handle = std::thread([=] { run(argument); });
    } catch (const std::system_error&) {
      return false;
    }
    return true;
  }
  static void join(Handle& handle) { handle.join(); }
};
#else
class Starter {
 public:
  using Handle = pthread_t;
  Starter() : made_(pthread_attr_init(&attributes_) == 0) {
    // OpenMP, too, goes on with the usual size where that one cannot be.
    if (made_ && openmp_stack_size != 0) pthread_attr_setstacksize(&attributes_, openmp_stack_size);
  }
  ~Starter() {
    if (made_) pthread_attr_destroy(&attributes_);
  }
  Starter(const Starter&) = delete;
  Starter& operator=(const Starter&) = delete;

  explicit operator bool() const { return made_; }
  bool start(Handle& handle, void* (*run)(void*), void* argument) {
    return pthread_create(&handle, &attributes_, run, argument) == 0;
  }
  static void join(Handle& handle) { pthread_join(handle, nullptr); }

 private:
  pthread_attr_t attributes_;
  bool made_;
};
#endif

struct Trial {
  WaitWord over;
  struct Thread {
    Trial* trial = nullptr;
    Starter::Handle handle{};
    int64_t number = 0;  // of the system
  };
};

void* wait_until_over(void* argument) {
  auto& own = *static_cast<Trial::Thread*>(argument);
#if defined(__linux__)
  own.number = syscall(SYS_gettid);
#endif
  // What OpenMP and a worker will need of a thread's memory.
  constexpr size_t kBytes = size_t{64} << 10;
  void* volatile memory = std::malloc(kBytes);
  own.trial->over.wait_asleep([](uint32_t over) { return over != 0; });
  std::free(memory);
  return nullptr;
}

// A thread that was joined may count for a little longer.
void wait_until_gone(int64_t thread) {
#if defined(__linux__)
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(100);
  while (syscall(SYS_tgkill, getpid(), thread, 0) == 0 && Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::microseconds(10));
  }
#else
  static_cast<void>(thread);
#endif
}

}  // namespace

int threads_to_be_had(int wanted) noexcept {
  if (wanted <= 0) return 0;
  Trial trial;
  const std::unique_ptr<Trial::Thread[]> threads(new (std::nothrow) Trial::Thread[wanted]);
  Starter starter;
  if (threads == nullptr || !starter) return 0;
  int came = 0;
  while (came < wanted) {
    Trial::Thread& next = threads[came];
    next.trial = &trial;
    if (!starter.start(next.handle, wait_until_over, &next)) break;
    ++came;
  }
  trial.over.add(1);
  trial.over.wake();
  for (int i = 0; i < came; ++i) Starter::join(threads[i].handle);
  for (int i = 0; i < came; ++i) wait_until_gone(threads[i].number);
  return came;
}

}  // namespace gd::parallel
