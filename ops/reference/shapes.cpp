// The same elements under another shape, in another order, or repeated.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "ops/reference/definitions.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;
using Positions = std::vector<std::int64_t>;

Positions counted(std::int64_t size) {
  Positions out(static_cast<std::size_t>(size));
  std::iota(out.begin(), out.end(), 0);
  return out;
}

// ---- the same elements under another shape ----

Array under_shape(Array input, const Shape& shape) {
  input.shape = shape;
  return input;
}

Array reshape(const Array& input, Shape shape) {
  std::int64_t known = 1;
  for (const std::int64_t size : shape)
    if (size != -1) known *= size;
  for (std::int64_t& size : shape)
    if (size == -1) size = input.size() / known;
  return under_shape(input, shape);
}

Array flatten(const Array& input, std::int64_t start_dim, std::int64_t end_dim) {
  const std::size_t first = axis_of(start_dim, input.rank()), last = axis_of(end_dim, input.rank());
  Shape shape;
  for (std::size_t i = 0; i < input.rank(); ++i)
    if (i <= first || i > last)
      shape.push_back(input.shape[i]);
    else
      shape[first] *= input.shape[i];
  return under_shape(input, input.rank() == 0 ? Shape{1} : shape);
}

Array squeeze(const Array& input, const json& dim) {
  Shape shape;
  for (std::size_t i = 0; i < input.rank(); ++i)
    if (input.shape[i] != 1 || !(dim.is_null() || axis_of(dim, input.rank()) == i))
      shape.push_back(input.shape[i]);
  return under_shape(input, shape);
}

Array with_axis(const Array& input, std::size_t axis) {
  Shape shape = input.shape;
  shape.insert(axis, 1);
  return under_shape(input, shape);
}

// ---- axes in another order, repeated, reversed, turned ----

Array permute(const Array& input, const Positions& dims) {
  Shape shape;
  for (const std::int64_t dim : dims) shape.push_back(input.shape[axis_of(dim, input.rank())]);
  return generate(shape, [&](const Index& index) {
    Index from(index.size());
    for (std::size_t i = 0; i < index.size(); ++i) from[axis_of(dims[i], input.rank())] = index[i];
    return input.at(from);
  });
}

Array transpose(const Array& input, std::int64_t dim0, std::int64_t dim1) {
  if (input.rank() == 0) return input;
  Positions dims = counted(static_cast<std::int64_t>(input.rank()));
  std::swap(dims[axis_of(dim0, input.rank())], dims[axis_of(dim1, input.rank())]);
  return permute(input, dims);
}

// -1 keeps a size.
Array expand(const Array& input, Shape sizes) {
  const std::size_t added = sizes.size() - input.rank();
  for (std::size_t i = added; i < sizes.size(); ++i)
    if (sizes[i] == -1) sizes[i] = input.shape[i - added];
  return generate(sizes, [&](const Index& index) { return input.broadcast_at(index); });
}

Array repeat(const Array& input, const Positions& repeats) {
  const std::size_t added = repeats.size() - input.rank();
  Shape shape = repeats;
  for (std::size_t i = added; i < shape.size(); ++i) shape[i] *= input.shape[i - added];
  return generate(shape, [&](const Index& index) {
    Index from(index.begin() + static_cast<std::ptrdiff_t>(added), index.end());
    for (std::size_t i = 0; i < from.size(); ++i) from[i] %= input.shape[i];
    return input.at(from);
  });
}

Array flip(Array out, const Positions& dims) {
  for (const std::int64_t dim : dims) {
    const std::size_t axis = axis_of(dim, out.rank());
    Positions positions = counted(out.shape[axis]);
    std::reverse(positions.begin(), positions.end());
    out = picked(out, axis, positions);
  }
  return out;
}

// The element at i goes to i + shift, modulo the size.
Array rolled(const Array& input, std::size_t axis, std::int64_t shift) {
  const std::int64_t size = input.shape[axis];
  Positions positions = counted(size);
  for (std::int64_t i = 0; i < size; ++i)
    positions[static_cast<std::size_t>(((i + shift) % size + size) % size)] = i;
  return picked(input, axis, positions);
}

Array roll(const Array& input, const Positions& shifts, const json& dims) {
  if (dims.is_null() || dims.empty())
    return under_shape(rolled(under_shape(input, {input.size()}), 0, shifts[0]), input.shape);
  Array out = input;
  for (std::size_t i = 0; i < shifts.size(); ++i)
    out = rolled(out, axis_of(integers_of(dims)[i], input.rank()), shifts[i]);
  return out;
}

}  // namespace

void define_shapes(Definitions& d) {
  d["reshape"] = [](const Arrays& in, const json& o) -> Arrays {
    return {reshape(in[0], integers_of(o["shape"]))};
  };
  d["flatten"] = [](const Arrays& in, const json& o) -> Arrays {
    return {flatten(in[0], o["start_dim"], o["end_dim"])};
  };
  d["squeeze"] = [](const Arrays& in, const json& o) -> Arrays { return {squeeze(in[0], o["dim"])}; };
  d["unsqueeze"] = [](const Arrays& in, const json& o) -> Arrays {
    return {with_axis(in[0], axis_of(o["dim"], in[0].rank() + 1))};
  };
  d["permute"] = [](const Arrays& in, const json& o) -> Arrays { return {permute(in[0], o["dims"])}; };
  d["transpose"] = [](const Arrays& in, const json& o) -> Arrays {
    return {transpose(in[0], o["dim0"], o["dim1"])};
  };
  d["expand"] = [](const Arrays& in, const json& o) -> Arrays {
    return {expand(in[0], integers_of(o["sizes"]))};
  };
  d["repeat"] = [](const Arrays& in, const json& o) -> Arrays {
    return {repeat(in[0], integers_of(o["repeats"]))};
  };
  d["flip"] = [](const Arrays& in, const json& o) -> Arrays { return {flip(in[0], integers_of(o["dims"]))}; };
  d["roll"] = [](const Arrays& in, const json& o) -> Arrays {
    return {roll(in[0], integers_of(o["shifts"]), o["dims"])};
  };
}

}  // namespace lucid::reference
