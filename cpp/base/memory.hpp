#pragma once

#include <cstddef>
#include <cstdint>

namespace gd::base {

inline constexpr int64_t kAlignment = 64;  // bytes: a cache line, and the widest vector

// Zero-filled memory on a cache-line boundary. What is as large as a huge page lies on huge pages,
// as far as it fills them and the system has them: a step on a wide network reads hundreds of
// megabytes, and finding as many small pages takes 3 % of it. std::bad_alloc where there is none.
void* allocate_zeroed(std::size_t bytes);
// With the size that was asked for.
void deallocate(void* memory, std::size_t bytes) noexcept;
// What is allocated so at the moment.
int64_t allocated_bytes() noexcept;
// What the machine has in all, or 0 where the system does not tell.
int64_t physical_memory() noexcept;

// Memory of which nothing is written, so that pages nobody needs stay the system's, or null: from
// the size of a huge page on it lies on such pages, where the system has them.
void* allocate_untouched(std::size_t bytes) noexcept;
void deallocate_untouched(void* memory) noexcept;

}  // namespace gd::base
