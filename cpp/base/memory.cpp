#include "base/memory.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif
#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace gd::base {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::align_val_t alignment_of(std::size_t bytes) {
  return std::align_val_t(bytes < kHugePage ? std::size_t{kAlignment} : kHugePage);
}

std::atomic<int64_t> allocated{0};

}  // namespace

void* allocate_zeroed(std::size_t bytes) {
  void* const memory = ::operator new(bytes, alignment_of(bytes));
#if defined(__linux__)
  // Not the last page, which would take more memory than was asked for. A refusal changes nothing
  // but the speed.
  if (bytes >= kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  std::memset(memory, 0, bytes);
  allocated.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  return memory;
}

void deallocate(void* memory, std::size_t bytes) noexcept {
  ::operator delete(memory, alignment_of(bytes));
  allocated.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
}

int64_t physical_memory() noexcept {
#if defined(_SC_PHYS_PAGES) && defined(_SC_PAGESIZE)
  const int64_t pages = sysconf(_SC_PHYS_PAGES);
  const int64_t size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? pages * size : 0;
#else
  return 0;
#endif
}

int64_t allocated_bytes() noexcept { return allocated.load(std::memory_order_relaxed); }

void* allocate_untouched(std::size_t bytes) noexcept {
  const std::size_t alignment = bytes < kHugePage ? std::size_t{kAlignment} : kHugePage;
  const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
#if defined(_WIN32)
  return _aligned_malloc(whole, alignment);
#else
  void* const memory = std::aligned_alloc(alignment, whole);
#if defined(__linux__)
  // NumPy asks for the same of its large arrays. A refusal changes nothing but the speed.
  if (memory != nullptr && alignment == kHugePage) madvise(memory, whole, MADV_HUGEPAGE);
#endif
  return memory;
#endif
}

void deallocate_untouched(void* memory) noexcept {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  std::free(memory);
#endif
}

}  // namespace gd::base
