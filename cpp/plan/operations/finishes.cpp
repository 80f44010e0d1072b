#include "plan/operations/finishes.hpp"

#include "kernels/dispatch.hpp"

namespace gd::plan {

template <class T>
Finishes<T>::Finishes(const std::vector<Pointwise<T>>& list, const Places<T>& places)
    : kernels_(kernels::kernels().of<T>().layers) {
  for (const Pointwise<T>& what : list) {
    const Rows<T> none;
    items_.push_back({what, places.of(what.from), places.of(what.to),
                      what.other == kNoValue ? none : places.of(what.other)});
  }
}

template <class T>
void Finishes<T>::run(const Batch<T>& batch, const Piece& piece) const {
  for (const Item& item : items_) run(item, batch, piece);
}

template <class T>
void Finishes<T>::run(const Item& item, const Batch<T>& batch, const Piece& piece) const {
  using Kind = typename Pointwise<T>::Kind;
  const Pointwise<T>& what = item.what;
  const int64_t ldx = item.from.read_stride(batch);
  const T* const x = item.from.read(batch) + piece.row * ldx + piece.col;
  T* const to = item.to.write(batch) + piece.row * item.to.stride + piece.col;
  const auto other = [&] {
    return item.other.read(batch) + piece.row * item.other.read_stride(batch) + piece.col;
  };
  switch (what.kind) {
    case Kind::activation:
      if (what.members > 1) {  // their rows follow each other without a gap
        const int64_t cols = piece.cols / what.members;
        what.use.kernel->forward(piece.rows * what.members, cols, x, cols, to, cols,
                                 what.use.parameters.data());
        return;
      }
      what.use.kernel->forward(piece.rows, piece.cols, x, ldx, to, item.to.stride,
                               what.use.parameters.data());
      return;
    case Kind::derivative:
      if (what.members > 1) {
        const int64_t cols = piece.cols / what.members;
        what.use.kernel->backward(piece.rows * what.members, cols, other(), cols, to, cols,
                                  what.use.parameters.data());
        return;
      }
      what.use.kernel->backward(piece.rows, piece.cols, other(), item.other.read_stride(batch), to,
                                item.to.stride, what.use.parameters.data());
      return;
    case Kind::add:
      kernels_.add({piece.rows, piece.cols, x, ldx, other(), item.other.read_stride(batch), to,
                    item.to.stride, T{1}});
      return;
    case Kind::scale:
      kernels_.scale({piece.rows, piece.cols, x, ldx, nullptr, 0, to, item.to.stride, what.factor});
      return;
    case Kind::keep:
      kernels_.keep({piece.rows, piece.cols, x, ldx, other(), item.other.read_stride(batch), to,
                     item.to.stride, what.factor});
      return;
    case Kind::drop: {
      kernels::DropoutRows<T> p{};
      p.rows = piece.rows;
      p.cols = piece.cols;
      p.first_col = piece.col;
      p.x = x;
      p.ldx = ldx;
      p.y = to;
      p.ldy = item.to.stride;
      p.scale = what.factor;
      p.threshold = what.threshold;
      p.key[0] = static_cast<uint32_t>(batch.draw.seed);
      p.key[1] = static_cast<uint32_t>(batch.draw.seed >> 32);
      p.step = static_cast<uint32_t>(batch.draw.step);
      p.layer = what.layer;
      p.first_row = batch.draw.first_row + batch.first_row + piece.row;
      kernels_.dropout(p);
      return;
    }
  }
}

template class Finishes<float>;
template class Finishes<double>;

}  // namespace gd::plan
