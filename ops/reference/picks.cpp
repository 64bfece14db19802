// Elements and slices picked by integer tensors.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "ops/reference/definitions.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

std::int64_t position_at(const Array& positions, const Index& index) {
  return static_cast<std::int64_t>(positions.at(index));
}

std::vector<std::int64_t> positions_of(const Array& index) {
  return {index.values.begin(), index.values.end()};
}

// Adds factor * each of source's slices along `axis` to the slice of `out` that `index` (rank 0 or 1) names.
Array with_added_slices(Array out, std::size_t axis, const Array& index, const Array& source, double factor) {
  const auto positions = positions_of(index);
  for_each_index(source.shape, [&](const Index& from) {
    Index to = from;
    to[axis] = positions[static_cast<std::size_t>(from[axis])];
    out.at(to) += factor * source.at(from);
  });
  return out;
}

Array gather(const Array& input, std::size_t axis, const Array& index) {
  return generate(index.shape, [&](Index at) {
    at[axis] = position_at(index, at);
    return input.at(at);
  });
}

Array scatter_add(Array out, std::size_t axis, const Array& index, const Array& src) {
  for_each_index(index.shape, [&](const Index& from) {
    Index to = from;
    to[axis] = position_at(index, from);
    out.at(to) += src.at(from);
  });
  return out;
}

// The positions of a line's elements in order, equal ones as they come; a NaN is above all numbers.
std::vector<std::size_t> sorted_positions(const std::vector<double>& values, bool descending) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto less = [](double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
    return descending ? less(values[j], values[i]) : less(values[i], values[j]);
  });
  return order;
}

// Values and positions.
Arrays topk(const Array& input, std::size_t axis, std::int64_t k, bool largest) {
  const auto take = [&](bool want_values) {
    return along(input, axis, k, [&](const std::vector<double>& line) {
      std::vector<double> out;
      for (const std::size_t position : sorted_positions(line, largest))
        out.push_back(want_values ? line[position] : static_cast<double>(position));
      out.resize(static_cast<std::size_t>(k));
      return out;
    });
  };
  return {take(true), take(false)};
}

Array embedding(const Array& input, const Array& weight) {
  Shape shape = input.shape;
  shape.push_back(weight.shape[1]);
  return generate(shape, [&](Index index) {
    const std::int64_t feature = index.back();
    index.pop_back();
    return weight.at({position_at(input, index), feature});
  });
}

}  // namespace

void define_picks(Definitions& d) {
  d["index_select"] = [](const Arrays& in, const json& o) -> Arrays {
    return {picked(in[0], axis_of(o["dim"], in[0].rank()), positions_of(in[1]))};
  };
  d["index_select_backward"] = [](const Arrays& in, const json& o) -> Arrays {
    const std::size_t axis = axis_of(o["dim"], in[0].rank());
    Shape shape = in[0].shape;
    shape[axis] = o["size"];
    return {with_added_slices(Array(shape), axis, in[1], in[0], 1)};
  };
  d["index_add"] = [](const Arrays& in, const json& o) -> Arrays {
    return {with_added_slices(in[0], axis_of(o["dim"], in[0].rank()), in[1], in[2], o["alpha"])};
  };
  d["gather"] = [](const Arrays& in, const json& o) -> Arrays {
    return {gather(in[0], axis_of(o["dim"], in[0].rank()), in[1])};
  };
  d["scatter_add"] = [](const Arrays& in, const json& o) -> Arrays {
    return {scatter_add(in[0], axis_of(o["dim"], in[0].rank()), in[1], in[2])};
  };
  d["topk"] = [](const Arrays& in, const json& o) -> Arrays {
    return topk(in[0], axis_of(o["dim"], in[0].rank()), o["k"], o["largest"]);
  };
  d["embedding"] = [](const Arrays& in, const json&) -> Arrays { return {embedding(in[0], in[1])}; };
}

}  // namespace lucid::reference
