// Matrix products.

#include <nlohmann/json.hpp>

#include "ops/reference/definitions.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

Array with_axis(Array input, std::size_t axis) {
  input.shape.insert(axis, 1);
  return input;
}
Array without_axis(Array input, std::size_t axis) {
  input.shape.erase(axis);
  return input;
}

// (..., n, k) by (..., k, m): sum over k; the batch axes broadcast.
Array matrix_product(const Array& a, const Array& b) {
  const auto batch_of = [](const Array& x) { return Shape(std::span(x.shape.begin(), x.rank() - 2)); };
  Shape shape = broadcast_shapes("reference", batch_of(a), batch_of(b));
  shape.push_back(a.shape[a.rank() - 2]);
  shape.push_back(b.shape[b.rank() - 1]);
  return generate(shape, [&](const Index& index) {
    Index left = index, right = index;
    std::int64_t &column = left[left.size() - 1], &row = right[right.size() - 2];
    double sum = 0;
    for (column = row = 0; column < a.shape.back(); ++column, ++row)
      sum += a.broadcast_at(left) * b.broadcast_at(right);
    return sum;
  });
}

// A vector is a row on the left and a column on the right; the result lacks its axis.
Array product(const Array& a, const Array& b) {
  Array out = matrix_product(a.rank() == 1 ? with_axis(a, 0) : a, b.rank() == 1 ? with_axis(b, 1) : b);
  if (b.rank() == 1) out = without_axis(out, out.rank() - 1);
  if (a.rank() == 1) out = without_axis(out, out.rank() - (b.rank() == 1 ? 1 : 2));
  return out;
}

Array transposed(const Array& matrix) {
  return generate({matrix.shape[1], matrix.shape[0]}, [&](const Index& index) {
    return matrix.at({index[1], index[0]});
  });
}

}  // namespace

void define_matmul(Definitions& d) {
  d["matmul"] = d["mm"] =
      d["bmm"] = [](const Arrays& in, const json&) -> Arrays { return {product(in[0], in[1])}; };
  // With beta 0 the input does not count, not even a NaN in it.
  d["addmm"] = [](const Arrays& in, const json& o) -> Arrays {
    return {zip(product(in[1], in[2]), in[0],
                [alpha = o["alpha"].get<double>(), beta = o["beta"].get<double>()](double x, double given) {
                  return alpha * x + (beta == 0 ? 0 : beta * given);
                })};
  };
  d["linear"] = [](const Arrays& in, const json&) -> Arrays {
    return {zip(product(in[0], transposed(in[1])), in[2].defined() ? in[2] : Array({}, 0.0),
                [](double x, double bias) { return x + bias; })};
  };
}

}  // namespace lucid::reference
