#include <algorithm>

#include "autograd/record.hpp"
#include "ops/gather.hpp"
#include "ops/kernels/gather.hpp"
#include "ops/options.hpp"
#include "ops/picks.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;

// `classes` is the number of rows of the weight; no option of the op.
struct EmbeddingOptions {
  std::optional<std::int64_t> padding_idx;
  bool scale_grad_by_freq = false;
  std::int64_t classes = 0;
};
LUCID_OPTIONS(EmbeddingOptions, padding_idx, scale_grad_by_freq)

// 1 for each of `size` rows but `row`, as a column.
Tensor all_rows_but(std::int64_t row, std::int64_t size, DType dtype) {
  const Tensor mask = ones({size, 1}, dtype);
  mask.select(0, row).fill_(0.0);
  return mask;
}

// 1 / (how often `index` (n) names it) for each element of `index`, as a column.
Tensor shares(const Tensor& index, std::int64_t classes, DType dtype) {
  const no_grad guard;
  const Tensor counts = scatter_add(zeros({classes}, f64), 0, index, ones(index.shape(), f64));
  return (1.0 / index_select(counts, 0, index)).to(dtype).unsqueeze(1);
}

Tensors embedding_backward(const Backward<EmbeddingOptions>& b) {
  const EmbeddingOptions& o = b.options;
  const std::int64_t features = b.grad().size(-1);
  const Tensor index = b.saved[0].flatten();
  Tensor rows = b.grad().reshape({index.numel(), features});
  if (o.scale_grad_by_freq) rows = rows * shares(index, o.classes, rows.dtype());
  Tensor grad = ops::sum_selected(rows, 0, index, o.classes);
  if (o.padding_idx) {
    const std::int64_t row = *o.padding_idx < 0 ? *o.padding_idx + o.classes : *o.padding_idx;
    grad = grad * all_rows_but(row, o.classes, grad.dtype());
  }
  return {Tensor(), grad};
}

}  // namespace

Tensor embedding(const Tensor& input, const Tensor& weight, std::optional<std::int64_t> padding_idx,
                 bool scale_grad_by_freq) {
  const autograd::OpTimer timer("embedding");
  check(weight.defined() && weight.dim() == 2, "embedding", "weight has shape ",
        weight.defined() ? weight.shape() : Shape(), "; (classes, features) is required");
  const std::int64_t classes = weight.size(0);
  check(!padding_idx || (*padding_idx >= -classes && *padding_idx < classes), "embedding", "padding_idx ",
        padding_idx.value_or(0), " is out of range for ", classes, " rows");
  const kernels::Picks picks = ops::read_picks("embedding", "input", input, classes);
  const Tensor rows = kernels::pick_slices(weight.detach().contiguous(), 0, picks);
  Shape shape = input.shape();
  shape.push_back(weight.size(1));
  return autograd::record("embedding", alias(rows, shape, contiguous_strides(shape), 0), {input, weight},
                          {input}, EmbeddingOptions{padding_idx, scale_grad_by_freq, classes},
                          embedding_backward);
}

namespace ops {

Op embedding_op() {
  return {.name = "embedding",
          .doc = "rows of weight (classes, features) named by input (...): (..., features)",
          .inputs = {{"input"}, {"weight"}},
          .defaults = default_options<EmbeddingOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<EmbeddingOptions>("embedding", options);
            return {lucid::embedding(in[0], in[1], o.padding_idx, o.scale_grad_by_freq)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{randint(0, 5, {2, 3}, i64, &g), normal({5, 3}, g)}},
                    {{Tensor::from({1, 0, 1}, {3}, i64), normal({2, 2}, g)}},
                    {{randint(0, 3, {}, i64, &g), normal({3, 2}, g)}},
                    // The row padding_idx is not looked up: its gradient is 0 by decree, not by calculus.
                    {{randint(0, 3, {2, 2}, i64, &g).to(i32), normal({4, 2}, g)}, {{"padding_idx", -1}}},
                    {{randint(1, 3, {3}, i64, &g), normal({3, 2}, g)}, {{"padding_idx", 0}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{full({2}, 5, i64), ones({5, 3}, f64)}, {}, "holds 5"},
                    {{full({2}, 0, i64), ones({5}, f64)}, {}, "(5)"},
                    {{full({2}, 0, i64), ones({5, 3}, f64)}, {{"padding_idx", 5}}, "padding_idx 5"}};
          },
          .linear_in = {1}};
}

}  // namespace ops
}  // namespace lucid
