#pragma once

// Which sanitizer this is compiled with: GCC says so in macros, Clang in features.

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GD_ADDRESS_SANITIZER
#endif
#if __has_feature(thread_sanitizer)
#define GD_THREAD_SANITIZER
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define GD_ADDRESS_SANITIZER
#endif
#if defined(__SANITIZE_THREAD__)
#define GD_THREAD_SANITIZER
#endif
