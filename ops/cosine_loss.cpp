#include "lucid/op_scope.hpp"
#include "ops/autocast.hpp"
#include "ops/compare.hpp"
#include "ops/loss_options.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"

namespace lucid {

LUCID_OPTIONS(CosineSimilarityOptions, dim, eps)
LUCID_OPTIONS(CosineEmbeddingLossOptions, margin, reduction)

namespace {

const std::string kSimilarity = "cosine_similarity", kLoss = "cosine_embedding_loss";
constexpr double kLeastNorm = 1e-6;  // PyTorch adds the square of it to squared norms

void check_vectors(std::string_view op, const Tensor& x, const char* name) {
  check(x.defined(), op, name, " is undefined");
  check(is_floating(x.dtype()), op, name, " has dtype ", x.dtype(), "; a floating type is required");
}

// x over its norm along `dim`, which counts as at least `eps`.
Tensor normalized(const Tensor& x, std::int64_t dim, double eps) {
  return x / clamp(norm(x, 2, {dim}, true), Scalar(eps));
}

}  // namespace

Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, const CosineSimilarityOptions& options) {
  check_vectors(kSimilarity, x1, "x1");
  check_vectors(kSimilarity, x2, "x2");
  check(options.eps > 0, kSimilarity, "eps is ", options.eps, "; above 0 is required");
  const Shape shape = broadcast_shapes(kSimilarity, x1.shape(), x2.shape());
  const auto dim = static_cast<std::int64_t>(normalize_axis(kSimilarity, options.dim, shape.size()));
  return (normalized(x1.expand(shape), dim, options.eps) * normalized(x2.expand(shape), dim, options.eps))
      .sum({dim});
}

Tensor cosine_embedding_loss(const Tensor& given, const Tensor& input2, const Tensor& target,
                             const CosineEmbeddingLossOptions& options) {
  const Tensor input1 = ops::autocast_loss_operand(given);
  ops::require_same_shape(kLoss, input1, input2);
  check(target.defined(), kLoss, "target is undefined");
  check(input1.dim() == 1 || input1.dim() == 2, kLoss, "input1 has shape ", input1.shape(),
        "; (N, D) or (D) is required");
  Shape expected = input1.shape();
  expected.erase(expected.size() - 1);
  check(target.shape() == expected, kLoss, "target has shape ", target.shape(), ", input1 ", input1.shape(),
        " expects ", expected);
  const Tensor y = target.detach().to(f64);
  for (const double value : y.to_vector<double>())
    check(value == 1 || value == -1, kLoss, "target holds ", value, "; 1 (alike) or -1 is required");
  const OpScope scope(kLoss);
  const Tensor cosine = cosine_similarity(input1, input2, {.dim = -1, .eps = kLeastNorm});
  const Tensor losses = where(y > 0.0, 1.0 - cosine, clamp(cosine - options.margin, Scalar(0.0)));
  return ops::reduce_loss(losses, options.reduction);
}

namespace ops {

Op cosine_similarity_op() {
  return {.name = kSimilarity,
          .doc = "sum(x1 x2) / (|x1| |x2|) along dim, each norm at least eps; shapes broadcast",
          .inputs = {{"x1"}, {"x2"}},
          .defaults = default_options<CosineSimilarityOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {lucid::cosine_similarity(in[0], in[1],
                                             read_options<CosineSimilarityOptions>(kSimilarity, given))};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            const auto x = [&](const Shape& shape) { return away_from_zero(normal(shape, generator)); };
            return {{{x({4, 5}), x({4, 5})}},
                    {{x({2, 3, 2, 3, 4}), x({2, 3, 2, 3, 4})}},
                    {{x({2, 3, 4}), x({3, 1})}, {{"dim", -2}}},
                    {{x({6}), x({2, 6})}, {{"dim", 1}, {"eps", 1e-3}}},
                    {{x({6}), x({6})}, {{"dim", 0}}},
                    {{x({3, 4}), x({3, 4}) * 10.0}, {{"eps", 9}}}};  // shorter than eps, and longer
          },
          .errors = []() -> std::vector<ErrorCase> {
            const Tensor x = ones({2, 3}, f64);
            return {{{x, ones({2, 4}, f64)}, {}, "(2, 4)"},
                    {{x, x}, {{"dim", 2}}, "2"},
                    {{x, x}, {{"eps", 0}}, "eps is 0"},
                    {{x, x.to(i64)}, {}, "int64"}};
          }};
}

Op cosine_embedding_loss_op() {
  return {.name = kLoss,
          .doc =
              "1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1: inputs (N, D) "
              "or (D), target (N) or ()",
          .inputs = {{"input1"}, {"input2"}, {"target"}},
          .defaults = default_options<CosineEmbeddingLossOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {lucid::cosine_embedding_loss(in[0], in[1], in[2],
                                                 read_options<CosineEmbeddingLossOptions>(kLoss, given))};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            const auto x = [&](const Shape& shape) { return away_from_zero(normal(shape, generator)); };
            const auto y = [&](const Shape& shape) { return randint(0, 2, shape, i64, &generator) * 2 - 1; };
            return {{{x({6, 5}), x({6, 5}), y({6})}},
                    {{x({6, 5}), x({6, 5}), y({6})}, {{"margin", -0.5}, {"reduction", "none"}}},
                    {{x({6, 5}), x({6, 5}), y({6}).to(i32)}, {{"margin", 0.25}, {"reduction", "sum"}}},
                    {{x({5}), x({5}), ones({}, i64)}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            const Tensor x = ones({2, 3}, f64), y = ones({2}, i64);
            return {{{x, ones({2, 4}, f64), y}, {}, "(2, 4)"},
                    {{x, x, ones({3}, i64)}, {}, "(3)"},
                    {{x, x, zeros({2}, i64)}, {}, "holds 0"},
                    {{ones({2, 3, 4}, f64), ones({2, 3, 4}, f64), y}, {}, "(2, 3, 4)"}};
          }};
}

}  // namespace ops
}  // namespace lucid
