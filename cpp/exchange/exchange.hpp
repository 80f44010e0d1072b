#pragma once

// What carries bytes between the ranks of a run. Nothing of it adds: sums are made by whoever
// calls, in an order that no algorithm of an MPI has a say in.

#include <cstdint>
#include <span>

namespace gd::exchange {

// Bytes of one rank in a buffer that holds those of all.
struct Place {
  int64_t begin = 0;
  int64_t bytes = 0;  // 0: none
};

// As one rank sees it. All calls are collective: every rank makes the same ones in the same order.
// They may throw, and then leave the buffers as they please.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Sends each rank what `send` has for it, and receives what it has for this one.
  virtual void all_to_all(const void* from, std::span<const Place> send, void* to,
                          std::span<const Place> receive) = 0;
  // Gives every rank the parts of all, in place.
  virtual void all_gather(void* buffer, std::span<const Place> parts) = 0;

  // Whether somebody wants this rank to stop; not collective. The next exchange tells all of them,
  // and each then stops, by an exception, before anything has changed.
  virtual bool interrupted() { return false; }
  [[noreturn]] virtual void stop() = 0;
};

}  // namespace gd::exchange
