#include "ops/reference/array.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lucid/dtype.hpp"

namespace lucid::reference {

Array::Array(const Shape& shape_, double value)
    : shape(shape_),
      values(static_cast<std::size_t>(checked_numel("reference", shape_)), value),
      is_defined(true) {}

Array::Array(const Shape& shape_, std::vector<double> values_)
    : shape(shape_), values(std::move(values_)), is_defined(true) {}

std::int64_t Array::flat(const Index& index) const {
  std::int64_t at = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) at = at * shape[i] + index[i];
  return at;
}

double Array::broadcast_at(const Index& index) const {
  std::int64_t at = 0;
  const std::size_t extra = index.size() - shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) at = at * shape[i] + (shape[i] == 1 ? 0 : index[i + extra]);
  return values[static_cast<std::size_t>(at)];
}

std::size_t axis_of(std::int64_t axis, std::size_t rank) {
  return static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(std::max<std::size_t>(rank, 1))
                                           : axis);
}

std::vector<std::size_t> axes_of(const nlohmann::json& option, std::size_t rank) {
  std::vector<std::size_t> axes;
  if (option.is_number())
    axes.push_back(axis_of(option, rank));
  else if (option.is_array())
    for (const auto& axis : option) axes.push_back(axis_of(axis, rank));
  if (rank == 0) return {};
  if (axes.empty()) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), std::size_t{0});
  }
  std::sort(axes.begin(), axes.end());
  return axes;
}

Array picked(const Array& input, std::size_t axis, const std::vector<std::int64_t>& positions) {
  Shape shape = input.shape;
  shape[axis] = static_cast<std::int64_t>(positions.size());
  return generate(shape, [&](Index index) {
    index[axis] = positions[static_cast<std::size_t>(index[axis])];
    return input.at(index);
  });
}

std::vector<std::int64_t> integers_of(const nlohmann::json& option) {
  if (option.is_array()) return option;
  return {option.get<std::int64_t>()};
}

double rounded_to(const std::string& dtype, double x) {
  if (dtype == "float64") return x;
  if (dtype == "float32") return static_cast<double>(static_cast<float>(x));
  if (dtype == "bfloat16") return static_cast<double>(static_cast<float>(bfloat16(static_cast<float>(x))));
  if (dtype == "bool") return x != 0;
  return std::trunc(x);
}

Array converted(const Array& input, const nlohmann::json& dtype) {
  if (dtype.is_null()) return input;
  return map(input, [name = dtype.get<std::string>()](double x) { return rounded_to(name, x); });
}

}  // namespace lucid::reference
