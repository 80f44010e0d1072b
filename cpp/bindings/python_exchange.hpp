#pragma once

// Ranks as a communicator of Python's carries bytes between them; see gdcore.communication.

#include <vector>

#include "bindings/gil.hpp"
#include "exchange/exchange.hpp"

namespace gd::bindings {

// Called without the GIL held.
class PythonExchange final : public exchange::Exchange {
 public:
  using Place = exchange::Place;

  explicit PythonExchange(py::object channel)
      : channel_(std::move(channel)),
        rank_(channel_.attr("rank").cast<int>()),
        size_(channel_.attr("size").cast<int>()) {}
  ~PythonExchange() override {
    const WithGil gil;
    channel_ = py::object();
  }
  PythonExchange(const PythonExchange&) = delete;
  PythonExchange& operator=(const PythonExchange&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void all_to_all(const void* from, std::span<const Place> send, void* to,
                  std::span<const Place> receive) override {
    const WithGil gil;
    const auto [sent, send_places] = lists(send);
    const auto [received, receive_places] = lists(receive);
    called(channel_.attr("alltoallv"), bytes(const_cast<void*>(from), send), sent,
           bytes(to, receive), received, send_places, receive_places);
  }

  void all_gather(void* buffer, std::span<const Place> parts) override {
    const WithGil gil;
    called(channel_.attr("allgatherv"), bytes(buffer, parts), lists(parts).first);
  }

  bool interrupted() override {
    const WithGil gil;
    return channel_.attr("interrupted").cast<bool>();
  }

  [[noreturn]] void stop() override {
    const WithGil gil;
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    throw py::error_already_set();
  }

 private:
  // How many bytes each rank has, and where they begin.
  static std::pair<py::list, py::list> lists(std::span<const Place> places) {
    py::list counts;
    py::list begins;
    for (const Place& place : places) {
      counts.append(place.bytes);
      begins.append(place.begin);
    }
    return {counts, begins};
  }

  // The buffer itself, for as long as the call is under way.
  static py::array_t<uint8_t> bytes(void* data, std::span<const Place> places) {
    int64_t end = 0;
    for (const Place& place : places) end = std::max(end, place.begin + place.bytes);
    return py::array_t<uint8_t>(static_cast<py::ssize_t>(end), static_cast<const uint8_t*>(data),
                                py::none());
  }

  py::object channel_;
  int rank_;
  int size_;
};

}  // namespace gd::bindings
