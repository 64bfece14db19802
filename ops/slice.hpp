#pragma once
// Parts of a tensor: slice, narrow, select, and indexing in the manner of x[..., 1:3, None] and x[mask].

#include <optional>
#include <vector>

#include "lucid/tensor.hpp"

namespace lucid {

/// Every step-th element of axis `dim` from `start` up to, but not including, `end`. Negative bounds count
/// from the end of the axis, bounds beyond it are clamped, as PyTorch has it. A view. Throws Error unless
/// step > 0.
Tensor slice(const Tensor& input, std::int64_t dim, std::int64_t start, std::int64_t end,
             std::int64_t step = 1);
/// `length` elements of axis `dim` from `start`. A view. Throws Error when they reach beyond the axis.
Tensor narrow(const Tensor& input, std::int64_t dim, std::int64_t start, std::int64_t length);
/// The same with `start` in an integer tensor of one element.
Tensor narrow(const Tensor& input, std::int64_t dim, const Tensor& start, std::int64_t length);
/// The slice at `index` of axis `dim`, without that axis. A view. Throws Error when index is out of range.
Tensor select(const Tensor& input, std::int64_t dim, std::int64_t index);

struct Ellipsis_ {};
struct None_ {};
inline constexpr Ellipsis_ Ellipsis{};  ///< as many whole axes as are not named otherwise
inline constexpr None_ None{};          ///< a new axis; inside Slice, a bound left open

/// start:stop:step, each of which may be left open.
struct Slice {
  std::optional<std::int64_t> start, stop, step;

  Slice() = default;
  template <class Start, class Stop = None_, class Step = None_>
  explicit Slice(Start first, Stop last = {}, Step by = {})
      : start(bound(first)), stop(bound(last)), step(bound(by)) {}

 private:
  static std::optional<std::int64_t> bound(None_) { return std::nullopt; }
  static std::optional<std::int64_t> bound(std::optional<std::int64_t> value) { return value; }
};

/// What can stand between the brackets of x[...].
struct TensorIndex {
  enum class Kind : std::uint8_t { integer, slice, ellipsis, none, tensor };
  TensorIndex(std::int64_t value) : kind(Kind::integer), integer(value) {}
  TensorIndex(int value) : TensorIndex(static_cast<std::int64_t>(value)) {}
  TensorIndex(Slice part) : kind(Kind::slice), slice(part) {}
  TensorIndex(Ellipsis_) : kind(Kind::ellipsis) {}
  TensorIndex(None_) : kind(Kind::none) {}
  /// Positions along one axis (int64 or int32, any shape), or a mask (bool) over as many axes as it has.
  TensorIndex(Tensor picked) : kind(Kind::tensor), tensor(std::move(picked)) {}

  Kind kind;
  std::int64_t integer = 0;
  Slice slice;
  Tensor tensor;
};

/// x[1, ..., None, 2:] is index(x, {1, Ellipsis, None, Slice(2)}), a view. With tensors among the indices the
/// elements are copied: the tensors broadcast to one shape, which takes the place of their axes, or comes
/// first when other axes lie between them; integers are applied before, as PyTorch has it. Throws Error on a
/// position out of range, more indices than axes, a second Ellipsis, a step below 1, or a mask of another
/// shape.
Tensor index(const Tensor& input, const std::vector<TensorIndex>& indices);

}  // namespace lucid
