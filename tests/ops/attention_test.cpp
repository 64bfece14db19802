// Attention against the formula written out, its masks, and the blocks that long sequences are worked through
// in.
#include "ops/attention.hpp"

#include <cmath>
#include <limits>

#include "autograd/backward.hpp"
#include "autograd/grad_mode.hpp"
#include "autograd/node.hpp"
#include "lucid/allocator.hpp"
#include "lucid/random.hpp"
#include "ops/attention_core.hpp"
#include "ops/compare.hpp"
#include "ops/matmul.hpp"
#include "ops/reduce.hpp"
#include "ops/select.hpp"
#include "tests/ops/shape_test_support.hpp"

using namespace lucid;
using namespace shape_tests;

namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  return (a.to(f64) - b.to(f64)).abs().amax().item<double>();
}

Tensors leaves(const Tensors& tensors) {
  Tensors out;
  for (const Tensor& tensor : tensors) out.push_back(tensor.detach().requires_grad_());
  return out;
}

struct Sizes {
  Shape query, key, value;
};

Tensors operands(const Sizes& sizes, Generator& generator, DType dtype = f64) {
  return {randn(sizes.query, dtype, &generator), randn(sizes.key, dtype, &generator),
          randn(sizes.value, dtype, &generator)};
}

// softmax of all scores at once, recorded by its parts.
Tensor at_once(const Tensors& in, const Tensor& mask, const AttentionOptions& options) {
  return matmul(attention_weights(in[0], in[1], mask, options), in[2]);
}

// Blocked result and gradients against those of all scores at once.
void check_blocks(const Tensors& in, const Tensor& mask, const AttentionOptions& options) {
  Tensors given = in;
  if (mask.defined() && is_floating(mask.dtype())) given.push_back(mask);
  const Tensors a = leaves(given), b = leaves(given);
  const auto mask_of = [&](const Tensors& from) { return from.size() > 3 ? from[3] : mask; };
  const Tensor found = scaled_dot_product_attention(a[0], a[1], a[2], mask_of(a), options);
  const Tensor expected = at_once(b, mask_of(b), options);
  CHECK(largest_difference(found, expected) < 1e-12);
  Generator generator(9);
  const Tensor upstream = randn(found.shape(), f64, &generator);
  const Tensors grads = autograd::grad({found}, a, {upstream});
  const Tensors expected_grads = autograd::grad({expected}, b, {upstream});
  for (std::size_t i = 0; i < grads.size(); ++i) {
    CAPTURE(i);
    const double scale = expected_grads[i].abs().amax().item<double>();
    CHECK(largest_difference(grads[i], expected_grads[i]) < 1e-11 * std::max(scale, 1.0));
  }
}

int blocks_of(const Shape& scores, bool causal = false) {
  int count = 0;
  ops::for_each_score_block(scores, causal, [&](const ops::ScoreBlock&) { ++count; });
  return count;
}

}  // namespace

TEST_CASE("record of scaled_dot_product_attention: gradients and refusals") {
  check_record("scaled_dot_product_attention");
}

TEST_CASE("attention by hand") {
  const Tensor q = Tensor::from({1, 0}, {1, 2}, f64), k = Tensor::from({2, 5, 0, 7}, {2, 2}, f64);
  const Tensor v = Tensor::from({1, 10}, {2, 1}, f64);
  const auto first = [](double score) { return std::exp(score) / (std::exp(score) + 1); };
  const auto result = [&](const AttentionOptions& options, const Tensor& mask = {}) {
    return scaled_dot_product_attention(q, k, v, mask, options).item<double>();
  };
  const double half = first(2 / std::sqrt(2.0));
  CHECK(result({}) == doctest::Approx(half + 10 * (1 - half)));
  CHECK(result({.scale = 0.5}) == doctest::Approx(first(1) + 10 * (1 - first(1))));
  CHECK(result({.is_causal = true}) == 1);
  CHECK(result({}, Tensor::from({0, 1}, {2}, boolean)) == 10);
  CHECK(result({.scale = 0.5}, Tensor::from({2, 0}, {2}, f64)) ==
        doctest::Approx(first(3) + 10 * (1 - first(3))));
}

TEST_CASE("a query without keys gets zeros and passes on no gradient") {
  Generator generator(1);
  for (const DType dtype : {f32, f64, bf16}) {
    const Tensor none = Tensor::from({1, 1, 0, 0}, {2, 2}, boolean);
    const Tensor added = Tensor::from({0, 0, kMinusInfinity, kMinusInfinity}, {2, 2}, dtype);
    for (const Tensor& mask : {none, added}) {
      const Tensors in = leaves(operands({{2, 3}, {2, 3}, {2, 4}}, generator, dtype));
      const Tensor out = scaled_dot_product_attention(in[0], in[1], in[2], mask);
      CHECK(values(out[1]) == Values(4, 0.0));
      CHECK(std::abs(values(out[0])[0]) > 0);
      const Tensors grads = autograd::grad({out.sum()}, in, {}, {.create_graph = true});
      CHECK(values(grads[0][1]) == Values(3, 0.0));
      const Tensors second = autograd::grad({grads[0].square().sum()}, {in[0], in[1]});
      for (const Tensor& tensor : {grads[0], grads[1], grads[2], second[0], second[1]})
        for (const double value : values(tensor)) CHECK(std::isfinite(value));
    }
  }
  CHECK(values(scaled_dot_product_attention(ones({2, 3}), ones({0, 3}), ones({0, 1}))) == Values{0, 0});
}

TEST_CASE("a NaN reaches the result and is not taken for a masked row") {
  const Tensor q = full({1, 2}, std::numeric_limits<double>::quiet_NaN(), f64);
  const Tensor mask = ones({1, 3}, boolean);
  CHECK(
      std::isnan(scaled_dot_product_attention(q, ones({3, 2}, f64), ones({3, 1}, f64), mask).item<double>()));
}

TEST_CASE("empty queries, keys, batches and features") {
  const auto run = [](const Shape& q, const Shape& k, const Shape& v, bool causal = false) {
    const Tensors in = leaves({ones(q), ones(k), ones(v)});
    const Tensor out = scaled_dot_product_attention(in[0], in[1], in[2], {}, {.is_causal = causal});
    const Tensors grads = autograd::grad({out.sum()}, in, {}, {.create_graph = true});
    for (std::size_t i = 0; i < 3; ++i) CHECK(grads[i].shape() == in[i].shape());
    return out.shape();
  };
  CHECK(run({0, 3}, {2, 3}, {2, 4}) == Shape{0, 4});
  CHECK(run({5, 3}, {0, 3}, {0, 4}) == Shape{5, 4});
  CHECK(run({5, 3}, {0, 3}, {0, 4}, true) == Shape{5, 4});
  CHECK(run({0, 5, 3}, {1, 2, 3}, {2, 4}) == Shape{0, 5, 4});
  CHECK(run({5, 0}, {2, 0}, {2, 4}) == Shape{5, 4});
  CHECK(run({5, 3}, {2, 3}, {2, 0}) == Shape{5, 0});
}

TEST_CASE("blocks cover every score once, in rows and in batches") {
  for (const Shape& scores : {Shape{3, 1050, 1500}, Shape{3, 5, 350, 500}, Shape{2, 3, 1, 1500000},
                              Shape{5, 7}, Shape{1, 3000000}, Shape{2, 1, 1000001, 2}}) {
    CAPTURE(scores.str());
    const Tensor seen = zeros(scores, u8);
    ops::for_each_score_block(scores, false, [&](const ops::ScoreBlock& block) {
      const Tensor part = ops::scores_of(seen, block);
      CHECK(part.numel() <= std::max(ops::kAttentionBlock, scores.back()));
      part.add_(ones({}, u8));
    });
    CHECK_FALSE(any(seen != 1).item<bool>());
  }
  CHECK(blocks_of({3, 1050, 1500}) == 6);
  CHECK(blocks_of({3, 5, 350, 500}) == 3);
  CHECK(blocks_of({8, 8}) == 1);
  CHECK(blocks_of({8, 0}) == 0);
}

TEST_CASE("long sequences in blocks give what all scores at once give") {
  Generator generator(2);
  const Sizes rows{{1100, 3}, {1000, 3}, {1000, 2}};                 // two blocks
  const Sizes batches{{3, 1, 750, 3}, {2, 600, 3}, {1, 1, 600, 2}};  // three
  REQUIRE(blocks_of({1100, 1000}) == 2);
  REQUIRE(blocks_of({3, 2, 750, 600}) == 3);
  SUBCASE("rows") { check_blocks(operands(rows, generator), {}, {}); }
  SUBCASE("causal rows") { check_blocks(operands(rows, generator), {}, {.is_causal = true}); }
  SUBCASE("rows, a bool mask") {
    check_blocks(operands(rows, generator), rand({1100, 1000}, f64, &generator) < 0.002, {});
  }
  SUBCASE("rows, a mask that is added") {
    check_blocks(operands(rows, generator), randn({1100, 1}, f64, &generator), {.scale = 0.2});
  }
  SUBCASE("batches") { check_blocks(operands(batches, generator), {}, {}); }
  SUBCASE("batches, a mask that is added") {
    check_blocks(operands(batches, generator), randn({2, 1, 600}, f64, &generator), {});
  }
}

TEST_CASE("dropped weights are the same in result, gradient and recorded gradient") {
  Generator generator(3);
  for (const bool causal : {false, true}) {
    const Tensors in = leaves(operands({{1, 1100, 2}, {2, 1000, 2}, {2, 1000, 1}}, generator));
    const AttentionOptions options{.dropout_p = 0.3, .is_causal = causal, .seed = 5};
    const Tensor out = scaled_dot_product_attention(in[0], in[1], in[2], {}, options);
    const Tensor upstream = randn(out.shape(), f64, &generator);
    const Tensors plain = autograd::grad({out}, in, {upstream}, {.retain_graph = true});
    const Tensors recorded = autograd::grad({out}, in, {upstream}, {.create_graph = true});
    for (std::size_t i = 0; i < 3; ++i) CHECK(largest_difference(plain[i], recorded[i]) < 1e-11);
    // Linear in value, so that the value's gradient holds the weights that the result was made with.
    const double left = (out * upstream).sum().item<double>();
    CHECK((plain[2] * in[2]).sum().item<double>() == doctest::Approx(left).epsilon(1e-12));
  }
}

TEST_CASE("attention_weights are those of the op, dropped as there") {
  Generator generator(13);
  const Sizes ranks[] = {{{5, 3}, {7, 3}, {7, 2}},
                         {{2, 5, 3}, {2, 7, 3}, {2, 7, 2}},
                         {{2, 3, 5, 3}, {2, 3, 7, 3}, {2, 3, 7, 2}},
                         {{2, 1050, 2}, {2, 600, 2}, {2, 600, 1}}};  // the last in two blocks
  REQUIRE(blocks_of({2, 1050, 600}) == 2);
  for (const Sizes& sizes : ranks)
    for (const bool causal : {false, true}) {
      CAPTURE(sizes.query.str());
      const Tensors in = operands(sizes, generator);
      const AttentionOptions options{.dropout_p = 0.5, .is_causal = causal, .seed = 3};
      const Tensor found = scaled_dot_product_attention(in[0], in[1], in[2], {}, options);
      CHECK(largest_difference(found, at_once(in, {}, options)) < 1e-12);
      const auto drawn = [&] { return AttentionOptions{.dropout_p = 0.5, .is_causal = causal}; };
      manual_seed(8);
      const Tensor unseeded = scaled_dot_product_attention(in[0], in[1], in[2], {}, drawn());
      manual_seed(8);
      CHECK(largest_difference(unseeded, at_once(in, {}, drawn())) < 1e-12);
    }
}

TEST_CASE("a causal call beside a mask sees what both let it see") {
  Generator generator(14);
  for (const Sizes& sizes :
       {Sizes{{2, 4, 3}, {2, 6, 3}, {2, 6, 2}}, Sizes{{1100, 2}, {1000, 2}, {1000, 1}}}) {
    const Tensors in = operands(sizes, generator);
    const std::int64_t rows = in[0].size(-2), columns = in[1].size(-2);
    const Tensor later = arange(columns).unsqueeze(0) > arange(rows).unsqueeze(1);
    const Tensor keys = rand({1, columns}, f64, &generator) < 0.5, added = randn({columns}, f64, &generator);
    const Tensor both = logical_and(keys, logical_not(later));
    const auto run = [&](const Tensor& mask, bool causal) {
      return scaled_dot_product_attention(in[0], in[1], in[2], mask, {.is_causal = causal});
    };
    CHECK(largest_difference(run(keys, true), run(both, false)) < 1e-13);
    CHECK(largest_difference(run(added, true), run(masked_fill(added, later, kMinusInfinity), false)) <
          1e-13);
  }
  check_blocks(operands({{1100, 3}, {1000, 3}, {1000, 2}}, generator), randn({1000}, f64, &generator),
               {.is_causal = true});
}

TEST_CASE("dropout keeps the mean, follows its seed and the default generator") {
  const Tensor q = zeros({2000, 1}), v = ones({50, 1});
  const auto run = [&](std::optional<std::int64_t> seed, double p = 0.5) {
    return scaled_dot_product_attention(q, zeros({50, 1}), v, {}, {.dropout_p = p, .seed = seed});
  };
  CHECK(run(1).mean().item<double>() == doctest::Approx(1).epsilon(0.02));
  CHECK(run(1).var().item<double>() == doctest::Approx(1.0 / 50).epsilon(0.2));
  CHECK(values(run(1)) == values(run(1)));
  CHECK(values(run(1)) != values(run(2)));
  CHECK(values(run({})) != values(run({})));
  manual_seed(4);
  const Values once = values(run({}));
  manual_seed(4);
  CHECK(values(run({})) == once);
  CHECK(values(run(1, 1.0)) == Values(2000, 0.0));
}

TEST_CASE("the scores of a long sequence are never held") {
  Generator generator(6);
  constexpr std::int64_t length = 4096;  // 64 MB of scores in float32
  const Tensors in = leaves(operands({{length, 8}, {length, 8}, {length, 8}}, generator, f32));
  const std::int64_t before = memory_stats().current_bytes;
  reset_peak_memory();
  scaled_dot_product_attention(in[0], in[1], in[2]).sum().backward();
  CHECK(memory_stats().peak_bytes - before < 24 << 20);
  CHECK(in[0].grad().defined());
}

TEST_CASE("bfloat16 is computed in float32 and rounded once") {
  Generator generator(7);
  const Tensors in = operands({{3, 20, 16}, {3, 30, 16}, {3, 30, 8}}, generator, bf16);
  const Tensor found = scaled_dot_product_attention(in[0], in[1], in[2]);
  CHECK(found.dtype() == bf16);
  const Tensor wide = scaled_dot_product_attention(in[0].to(f32), in[1].to(f32), in[2].to(f32));
  CHECK(values(found) == values(wide.to(bf16)));
  const Tensors leaf = leaves(in);
  scaled_dot_product_attention(leaf[0], leaf[1], leaf[2], zeros({30}, f32)).sum().backward();
  for (const Tensor& tensor : leaf) CHECK(tensor.grad().dtype() == bf16);
}

TEST_CASE("grouped heads repeat key and value") {
  Generator generator(8);
  const Tensors in = operands({{2, 4, 5, 3}, {2, 2, 6, 3}, {2, 2, 6, 2}}, generator);
  const Tensor found = scaled_dot_product_attention(in[0], in[1], in[2], {}, {.enable_gqa = true});
  CHECK(found.shape() == Shape{2, 4, 5, 2});
  for (std::int64_t head = 0; head < 4; ++head) {
    const Tensor one = scaled_dot_product_attention(in[0].select(1, head), in[1].select(1, head / 2),
                                                    in[2].select(1, head / 2));
    CHECK(largest_difference(found.select(1, head), one) < 1e-14);
  }
  CHECK(contains(message_of([&] { scaled_dot_product_attention(in[0], in[1], in[2]); }), "(2, 4)"));
}

TEST_CASE("grouped heads that fit are required") {
  const Tensor q = ones({4, 5, 3}), none = ones({0, 6, 3}), three = ones({3, 6, 3});
  const auto message = [&](const Tensor& key) {
    return message_of([&] { scaled_dot_product_attention(q, key, key, {}, {.enable_gqa = true}); });
  };
  CHECK(contains(message(none), "query has 4 heads, key 0; enable_gqa needs at least 1 head of key"));
  CHECK(contains(message(three), "query has 4 heads, key 3; enable_gqa needs at least 1 head of key"));
}

TEST_CASE("a scale that is not finite is refused") {
  const Tensor x = ones({2, 3});
  for (const double scale : {-kMinusInfinity, std::nan("")})
    CHECK(contains(message_of([&] { scaled_dot_product_attention(x, x, x, {}, {.scale = scale}); }),
                   "scaled_dot_product_attention: scale is "));
}

TEST_CASE("attention_weights sum to 1 and refuse what the op refuses") {
  Generator generator(9);
  const Tensors in = operands({{2, 3, 4}, {2, 5, 4}, {2, 5, 1}}, generator);
  const Tensor weights = attention_weights(in[0], in[1]);
  CHECK(weights.shape() == Shape{2, 3, 5});
  for (const double sum : values(weights.sum({-1}))) CHECK(sum == doctest::Approx(1));
  CHECK(contains(message_of([&] { attention_weights(in[0], in[2]); }), "attention_weights: query has shape"));
  CHECK(
      contains(message_of([&] { attention_weights(in[0], in[1], {}, {.enable_gqa = true}); }), "enable_gqa"));
  CHECK(contains(message_of([&] { attention_weights(in[0], {}); }), "key is undefined"));
}
