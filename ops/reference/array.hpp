#pragma once
// What ops are proven against: their definitions as plain loops in double over row-major arrays. Nothing here
// shares code with the ops themselves, and nothing here is fast.

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lucid/shape.hpp"

namespace lucid::reference {

using Index = std::vector<std::int64_t>;

/// Row-major values; integers and bools (0 and 1) are held as doubles. Undefined stands for "no tensor".
struct Array {
  Array() = default;
  explicit Array(const Shape& shape_, double value = 0);
  Array(const Shape& shape_, std::vector<double> values_);

  bool defined() const { return is_defined; }
  std::size_t rank() const { return shape.size(); }
  std::int64_t size() const { return static_cast<std::int64_t>(values.size()); }
  /// Position in `values`; every index lies inside the shape.
  std::int64_t flat(const Index& index) const;
  double& at(const Index& index) { return values[static_cast<std::size_t>(flat(index))]; }
  double at(const Index& index) const { return values[static_cast<std::size_t>(flat(index))]; }
  /// The element that broadcasting reads at `index` of a result whose rank is at least this one's.
  double broadcast_at(const Index& index) const;

  Shape shape;
  std::vector<double> values;
  bool is_defined = false;
};

using Arrays = std::vector<Array>;

/// An op's definition: its results from its inputs (undefined where an optional one is left out) and all of
/// its options, defaults filled in. It may assume a call that the op accepts.
using Definition = std::function<Arrays(const Arrays& inputs, const nlohmann::json& options)>;

/// Calls f(index) for every index of `shape` in row-major order; once, with (), for rank 0.
template <class F>
void for_each_index(const Shape& shape, F&& f) {
  for (const std::int64_t size : shape)
    if (size == 0) return;
  Index index(shape.size(), 0);
  for (;;) {
    f(static_cast<const Index&>(index));
    std::size_t axis = shape.size();
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

/// The array of `shape` whose element at `index` is f(index).
template <class F>
Array generate(const Shape& shape, F&& f) {
  Array out(shape);
  std::size_t at = 0;
  for_each_index(shape, [&](const Index& index) { out.values[at++] = f(index); });
  return out;
}

/// f of every element.
template <class F>
Array map(const Array& input, F&& f) {
  Array out = input;
  for (double& value : out.values) value = f(value);
  return out;
}

/// f(a, b) of the elements that broadcasting brings together.
template <class F>
Array zip(const Array& a, const Array& b, F&& f) {
  return generate(broadcast_shapes("reference", a.shape, b.shape),
                  [&](const Index& index) { return f(a.broadcast_at(index), b.broadcast_at(index)); });
}

/// An axis counted from the end when negative.
std::size_t axis_of(std::int64_t axis, std::size_t rank);
/// An option that is null, one axis or a list: the axes that it names, ascending; all when null or empty.
std::vector<std::size_t> axes_of(const nlohmann::json& option, std::size_t rank);

/// Calls f(values) with the elements that a reduction over `axes` brings together, in row-major order, for
/// each element of the result; keepdim leaves the axes with size 1.
template <class F>
Array reduce(const Array& input, const std::vector<std::size_t>& axes, bool keepdim, F&& f) {
  Shape kept = input.shape, reduced = Shape::filled(input.rank(), 1);
  for (const std::size_t axis : axes) kept[axis] = 1, reduced[axis] = input.shape[axis];
  Array out = generate(kept, [&](const Index& base) {
    std::vector<double> values;
    for_each_index(reduced, [&](const Index& offset) {
      Index index = base;
      for (std::size_t i = 0; i < index.size(); ++i) index[i] += offset[i];
      values.push_back(input.at(index));
    });
    return f(static_cast<const std::vector<double>&>(values));
  });
  if (keepdim) return out;
  for (std::size_t i = axes.size(); i-- > 0;) out.shape.erase(axes[i]);
  return out;
}

/// Calls f(values) with each line along `axis`; it returns the line, of `size` elements, that takes its
/// place.
template <class F>
Array along(const Array& input, std::size_t axis, std::int64_t size, F&& f) {
  if (input.rank() == 0) return {{}, f(input.values)};
  Shape lines = input.shape, shape = input.shape;
  lines[axis] = 1;
  shape[axis] = size;
  Array out(shape);
  for_each_index(lines, [&](const Index& line) {
    std::vector<double> values;
    Index index = line;
    for (index[axis] = 0; index[axis] < input.shape[axis]; ++index[axis]) values.push_back(input.at(index));
    const std::vector<double> results = f(static_cast<const std::vector<double>&>(values));
    for (index[axis] = 0; index[axis] < size; ++index[axis])
      out.at(index) = results[static_cast<std::size_t>(index[axis])];
  });
  return out;
}

/// The slices of `input` along `axis` at `positions`, one after the other.
Array picked(const Array& input, std::size_t axis, const std::vector<std::int64_t>& positions);

/// An option that is one integer or a list of them.
std::vector<std::int64_t> integers_of(const nlohmann::json& option);

/// `x` as the type of that name holds it.
double rounded_to(const std::string& dtype, double x);
/// `input` in the type that the option `dtype` names, or as it is when that is null.
Array converted(const Array& input, const nlohmann::json& dtype);

}  // namespace lucid::reference
