#include "layers/registry.hpp"

#include <cstring>

#include "layers/kinds/all.hpp"
#include "layers/table.hpp"

namespace gd::layers {

namespace {

template <class K>
constexpr bool reads_codes() {
  if constexpr (requires { K::reads_codes; }) return K::reads_codes;
  return false;
}

template <class K>
constexpr bool reads_sparse() {
  if constexpr (requires { K::reads_sparse; }) return K::reads_sparse;
  return false;
}

template <class T, class K>
constexpr plan::Lowering<T> tangents() {
  if constexpr (requires { &K::template forward_tangents<T>; }) {
    return {K::name, K::template forward_tangents<T>, K::template backward_tangents<T>};
  }
  return {K::name, nullptr, nullptr};
}

template <class T>
constexpr Kind<T> kKinds[] = {
#define GD_KIND(kind)                                 \
  {kind::infer<T>,                                    \
   {kind::name, kind::forward<T>, kind::backward<T>}, \
   tangents<T, kind>(),                               \
   reads_codes<kind>(),                               \
   reads_sparse<kind>()},
    GD_LAYERS(GD_KIND)
#undef GD_KIND
};

}  // namespace

template <class T>
const Kind<T>* find_kind(const std::string& name) {
  for (const Kind<T>& kind : kKinds<T>) {
    if (name == kind.lowering.kind) return &kind;
  }
  return nullptr;
}

template <class T>
const plan::Lowering<T>* lowering(const std::string& kind) {
  const Kind<T>* const found = find_kind<T>(kind);
  return found == nullptr ? nullptr : &found->lowering;
}

template <class T>
const plan::Lowering<T>* tangent_lowering(const std::string& kind) {
  const Kind<T>* const found = find_kind<T>(kind);
  return found == nullptr || found->tangents.forward == nullptr ? nullptr : &found->tangents;
}

std::vector<std::string> layer_kinds() {
  std::vector<std::string> names;
  for (const Kind<double>& kind : kKinds<double>) names.emplace_back(kind.lowering.kind);
  return names;
}

template const Kind<float>* find_kind(const std::string&);
template const Kind<double>* find_kind(const std::string&);
template const plan::Lowering<float>* lowering(const std::string&);
template const plan::Lowering<double>* lowering(const std::string&);
template const plan::Lowering<float>* tangent_lowering(const std::string&);
template const plan::Lowering<double>* tangent_lowering(const std::string&);

}  // namespace gd::layers
