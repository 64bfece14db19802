#include "ops/matmul.hpp"

#include "autograd/record.hpp"
#include "ops/kernels/matmul.hpp"
#include "ops/matmul_shared.hpp"
#include "ops/options.hpp"
#include "ops/samples.hpp"

namespace lucid {

namespace ops {

void require_matrices(std::string_view op, const Tensor& a, const Tensor& b) {
  check(a.defined() && b.defined(), op, "the ", a.defined() ? "second" : "first", " matrix is undefined");
  check(is_floating(a.dtype()), op, "dtype ", a.dtype(), " is not supported; use a floating type");
  check(a.dtype() == b.dtype(), op, "the operands are ", a.dtype(), " and ", b.dtype(),
        "; convert one with .to()");
}

void require_inner(std::string_view op, const Tensor& a, const Tensor& b, std::int64_t left,
                   std::int64_t right) {
  check(left == right, op, "shapes ", a.shape(), " and ", b.shape(), " cannot be multiplied: ", left,
        " columns meet ", right, " rows");
}

Tensor multiplied(const kernels::Factor& a, const kernels::Factor& b) {
  if (!autograd::is_recording() && a.matrices.dim() == 2 && b.matrices.dim() == 2) {
    const Tensor out = empty({a.rows(), b.columns()}, a.matrices.dtype());
    kernels::matmul(out, a, b, 1.0, 0.0);
    return out;
  }
  const auto as_given = [](const kernels::Factor& f) {
    return f.flipped ? f.matrices.transpose(-2, -1) : f.matrices;
  };
  return matmul(as_given(a), as_given(b));
}

}  // namespace ops

namespace {

using autograd::Backward;
using autograd::NoOptions;
using autograd::record;
using ops::multiplied;
using ops::require_inner;
using ops::require_matrices;

Shape batch_of(const Tensor& matrices) {
  return Shape(std::span(matrices.shape().begin(), matrices.shape().size() - 2));
}

Tensor with_batch(const Tensor& matrices, const Shape& batch) {
  Shape shape = batch;
  shape.push_back(-1);
  shape.push_back(-1);
  return matrices.expand(shape);
}

// The values of matmul for operands of rank 2 or more; not recorded. A batch times one matrix is one long
// matrix times that matrix.
Tensor product(std::string_view op, const Tensor& a, const Tensor& b) {
  if (a.dim() == 2 && b.dim() == 2) {
    Tensor out = empty({a.size(0), b.size(1)}, a.dtype());
    kernels::matmul(out, {a}, {b}, 1.0, 0.0);
    return out;
  }
  const no_grad guard;
  const Shape batch = broadcast_shapes(op, batch_of(a), batch_of(b));
  Shape shape = batch;
  shape.push_back(a.size(-2));
  shape.push_back(b.size(-1));
  const Tensor out = empty(shape, a.dtype());
  if (b.dim() == 2)
    kernels::matmul(ops::as_rows(out), {ops::as_rows(a)}, {b}, 1.0, 0.0);
  else
    kernels::matmul(out, {with_batch(a, batch)}, {with_batch(b, batch)}, 1.0, 0.0);
  return out;
}

Tensors matmul_backward(const Backward<NoOptions>& b) {
  const Tensor &input = b.saved[0], &other = b.saved[1];
  const bool row = input.dim() == 1, column = other.dim() == 1;
  Tensors out(2);
  if (input.dim() == 2 && other.dim() == 2) {
    if (b.wants[0]) out[0] = multiplied({b.grad()}, {other, true});
    if (b.wants[1]) out[1] = multiplied({input, true}, {b.grad()});
    return out;
  }
  Tensor grad = b.grad();
  if (column) grad = grad.unsqueeze(-1);
  if (row) grad = grad.unsqueeze(-2);
  const Tensor left = row ? input.unsqueeze(0) : input, right = column ? other.unsqueeze(1) : other;
  if (b.wants[0]) {
    out[0] = multiplied({grad}, {right, true});
    if (row) out[0] = out[0].squeeze(-2);
  }
  if (b.wants[1]) {
    out[1] = right.dim() == 2 && left.dim() > 2 ? ops::product_of_rows(left, grad)
                                                : multiplied({left, true}, {grad});
    if (column) out[1] = out[1].squeeze(-1);
  }
  return out;
}

}  // namespace

Tensor matmul(const Tensor& input, const Tensor& other) {
  const autograd::OpTimer timer("matmul");
  require_matrices("matmul", input, other);
  check(input.dim() > 0 && other.dim() > 0, "matmul", "shapes ", input.shape(), " and ", other.shape(),
        " cannot be multiplied: both need rank 1 or more");
  require_inner("matmul", input, other, input.size(-1), other.size(other.dim() == 1 ? 0 : -2));
  Tensor out;
  if (input.dim() > 1 && other.dim() > 1) {
    out = product("matmul", input, other);
  } else {
    const no_grad guard;
    out = product("matmul", input.dim() == 1 ? input.unsqueeze(0) : input,
                  other.dim() == 1 ? other.unsqueeze(1) : other);
    if (other.dim() == 1) out = out.squeeze(-1);
    if (input.dim() == 1) out = out.squeeze(other.dim() == 1 ? -1 : -2);
  }
  return record("matmul", out, {input, other}, {input, other}, NoOptions{}, matmul_backward);
}

namespace {

Tensor product_of_rank(std::string_view op, const Tensor& input, const Tensor& other, std::int64_t rank) {
  const autograd::OpTimer timer(op);
  require_matrices(op, input, other);
  check(input.dim() == rank && other.dim() == rank, op, "shapes ", input.shape(), " and ", other.shape(),
        "; both need rank ", rank, ", or use matmul");
  require_inner(op, input, other, input.size(-1), other.size(-2));
  check(rank == 2 || input.size(0) == other.size(0), op, "batch sizes of ", input.shape(), " and ",
        other.shape(), " differ");
  return record(op, product(op, input, other), {input, other}, {input, other}, NoOptions{}, matmul_backward);
}

}  // namespace

Tensor mm(const Tensor& input, const Tensor& other) { return product_of_rank("mm", input, other, 2); }
Tensor bmm(const Tensor& input, const Tensor& other) { return product_of_rank("bmm", input, other, 3); }

Tensor Tensor::matmul(const Tensor& other) const { return lucid::matmul(*this, other); }

namespace ops {
namespace {

double bytes_of(const Tensors& tensors) {
  double total = 0;
  for (const Tensor& tensor : tensors)
    if (tensor.defined()) total += static_cast<double>(tensor.nbytes());
  return total;
}

}  // namespace

Cost product_cost(const Tensors& in, std::size_t first) {
  const Tensor &a = in[first], &b = in[first + 1];
  const double k = static_cast<double>(a.size(-1));
  const double columns = b.dim() > 1 ? static_cast<double>(b.size(-1)) : 1;
  double batch = static_cast<double>(a.numel()) / std::max(k, 1.0);  // rows of all of a's matrices
  if (a.dim() < b.dim())
    for (std::int64_t i = 0; i < b.dim() - std::max<std::int64_t>(a.dim(), 2); ++i)
      batch *= static_cast<double>(b.size(i));
  const double results = batch * columns;
  return {2 * results * k, bytes_of(in) + results * static_cast<double>(size_of(a.dtype()))};
}

namespace {

using Product = Tensor (*)(const Tensor&, const Tensor&);

Op product_op(std::string name, std::string doc, Product product) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}, {"other"}}};
  op.call = [name = op.name, product](const Tensors& in, const nlohmann::json& options) -> Tensors {
    read_options<autograd::NoOptions>(name, options);
    return {product(in[0], in[1])};
  };
  op.linear_in = {0, 1};
  op.cost = [](const Tensors& in, const nlohmann::json&) { return product_cost(in, 0); };
  return op;
}

Sample pair(const Shape& a, const Shape& b, Generator& generator) {
  return {.inputs = {normal(a, generator), normal(b, generator)}};
}

}  // namespace

Op matmul_op() {
  Op op = product_op("matmul", "input (..., n, k) @ other (..., k, m), batch axes broadcast; vectors too",
                     lucid::matmul);
  op.samples = [](Generator& g) -> std::vector<Sample> {
    return {pair({4}, {4}, g),
            pair({3, 4}, {4}, g),
            pair({4}, {4, 3}, g),
            pair({2, 3}, {3, 4}, g),
            pair({2, 3, 4}, {2, 4, 2}, g),
            pair({2, 1, 3, 4}, {3, 4, 2}, g),
            pair({2, 3, 4}, {4}, g),
            pair({4}, {2, 4, 3}, g),
            pair({2, 2, 3}, {3, 2}, g),
            pair({2, 1, 2, 3}, {1, 2, 3, 2}, g)};
  };
  op.errors = []() -> std::vector<ErrorCase> {
    return {{{ones({2, 3}, f64), ones({4, 5}, f64)}, {}, "(2, 3) and (4, 5)"},
            {{ones({2, 3}, f64), ones({3}, f32)}, {}, "float64 and float32"},
            {{ones({2, 2, 3}, f64), ones({3, 3, 2}, f64)}, {}, "(2) and (3)"},
            {{ones({}, f64), ones({3}, f64)}, {}, "()"}};
  };
  return op;
}

Op mm_op() {
  Op op = product_op("mm", "input (n, k) @ other (k, m)", lucid::mm);
  op.samples = [](Generator& g) -> std::vector<Sample> {
    return {pair({2, 3}, {3, 4}, g), pair({1, 5}, {5, 1}, g), pair({5, 18}, {18, 9}, g)};
  };
  op.errors = []() -> std::vector<ErrorCase> {
    return {{{ones({2, 3}, f64), ones({4, 5}, f64)}, {}, "(2, 3) and (4, 5)"},
            {{ones({2, 3}, f64), ones({3}, f64)}, {}, "(3)"}};
  };
  return op;
}

Op bmm_op() {
  Op op = product_op("bmm", "input (b, n, k) @ other (b, k, m)", lucid::bmm);
  op.samples = [](Generator& g) -> std::vector<Sample> {
    return {pair({2, 2, 3}, {2, 3, 4}, g), pair({1, 1, 2}, {1, 2, 1}, g)};
  };
  op.errors = []() -> std::vector<ErrorCase> {
    return {{{ones({2, 2, 3}, f64), ones({1, 3, 2}, f64)}, {}, "(1, 3, 2)"},
            {{ones({2, 3}, f64), ones({3, 2}, f64)}, {}, "rank 3"}};
  };
  return op;
}

}  // namespace ops
}  // namespace lucid
