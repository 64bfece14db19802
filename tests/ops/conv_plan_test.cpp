// Plans are made once, and layouts are left alone.

#include <doctest/doctest.h>
#include <algorithm>

#include "autograd/grad_mode.hpp"
#include "ops/conv.hpp"
#include "ops/conv_plan.hpp"
#include "ops/packed_weights.hpp"
#include "ops/plan_stats.hpp"

using namespace lucid;

namespace {

struct Step {
  Tensor x = randn({1, 16, 8, 8, 8});
  Tensor down = randn({32, 16, 3, 3, 3}), up = randn({32, 16, 2, 2, 2}), bias = randn({16});

  // A convolution that halves, a transposed one that doubles, and all their gradients.
  void run() const {
    for (const Tensor* tensor : {&x, &down, &up, &bias}) tensor->requires_grad_();
    const Tensor half = conv3d(x, down, {}, {.stride = 2, .padding = 1});
    const Tensor whole = conv_transpose3d(half, up, bias, {.stride = 2});
    whole.backward(whole.detach());
  }
};

bool is_same(const Tensor& a, const Tensor& b) { return a.to_vector<double>() == b.to_vector<double>(); }

}  // namespace

TEST_CASE("a steady loop makes no plans and keeps activations in place") {
  const Step step;
  const Tensor last = step.x.channels_last();
  const Step fed{.x = last.detach()};
  fed.run();
  reset_plan_stats();
  for (int i = 0; i < 5; ++i) fed.run();
  const PlanStats stats = plan_stats();
  CHECK(stats.plans_created == 0);
  CHECK(stats.plans_held >= 6);
  CHECK(stats.runs == 30);
  CHECK(stats.activation_reorders == 0);
  CHECK(stats.reference_runs == 0);
  CHECK(!stats.last_implementation.empty());
}

TEST_CASE("a weight is packed until it comes for the second time, and again when it changed") {
  const no_grad guard;
  // A layout each of oneDNN's, of patches forward and backward, and of direct loops.
  struct Layer {
    Tensor x, weight;
    Tensor (*call)(const Tensor& x, const Tensor& weight);
  };
  const std::vector<Layer> layers = {
      {randn({1, 16, 6, 6, 6}).channels_last(), randn({32, 16, 3, 3, 3}),
       [](const Tensor& x, const Tensor& w) { return conv3d(x, w); }},
      {randn({1, 32, 4, 4, 4}).channels_last(), randn({32, 16, 2, 2, 2}),
       [](const Tensor& x, const Tensor& w) { return conv_transpose3d(x, w, {}, {.stride = 2}); }},
      {randn({1, 16, 4, 4, 4}, f64).channels_last(), randn({32, 16, 2, 2, 2}, f64),
       [](const Tensor& x, const Tensor& w) { return conv3d(x, w, {}, {.stride = 2}); }},
      {randn({1, 4, 5, 5, 5}, f64).channels_last(), randn({3, 4, 2, 2, 2}, f64),
       [](const Tensor& x, const Tensor& w) { return conv3d(x, w); }}};
  for (const Layer& layer : layers) {
    reset_plan_stats();
    const Tensor first = layer.call(layer.x, layer.weight);
    for (int i = 0; i < 3; ++i) CHECK(is_same(layer.call(layer.x, layer.weight), first));
    CHECK(plan_stats().weight_reorders == 2);
    // Through a pointer that was there before, so that no version tells.
    dispatch_floating("test", layer.weight.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* const weight = layer.weight.mutable_data<T>();
      const std::uint32_t version = layer.weight.version();
      for (std::int64_t i : {std::int64_t{0}, layer.weight.numel() - 1}) {
        const Tensor before = layer.call(layer.x, layer.weight);
        weight[i] = -weight[i];
        CHECK(!is_same(layer.call(layer.x, layer.weight), before));
      }
      for (std::int64_t i = 0; i < layer.weight.numel(); ++i) weight[i] = -weight[i];  // all signs at once
      const Tensor negative = layer.call(layer.x, layer.weight);
      CHECK(layer.weight.version() == version);
      CHECK(is_same(negative, layer.call(layer.x, layer.weight.clone())));
    });
  }
}

TEST_CASE("a change of a kept weight is seen, whoever makes it") {
  const no_grad guard;
  const Tensor x = randn({1, 32, 4, 4, 4}).channels_last();
  std::vector<float> memory(32 * 16 * 8, 0.5f);
  const Tensor own = randn({32, 16, 2, 2, 2}),
               foreign = Tensor::from_blob(memory.data(), own.shape(), own.strides(), f32);
  const auto call = [&](const Tensor& w) { return conv_transpose3d(x, w, {}, {.stride = 2}); };
  const auto is_seen = [&](const Tensor& w, const auto& change) {
    for (int i = 0; i < 3; ++i) call(w);
    const Tensor was = call(w);
    change();
    const Tensor after = call(w);
    return !is_same(after, was) && is_same(after, call(w.clone()));
  };
  CHECK(is_seen(own, [&] { own.mul_(2); }));
  CHECK(is_seen(own, [&] { own.narrow(0, 3, 1).fill_(1); }));
  CHECK(is_seen(own, [&] { own.copy_(randn(own.shape())); }));
  CHECK(is_seen(own, [&] { own.data_to_write<float>()[7] = 5; }));
  std::int64_t before = ops::weights_hashed();
  for (int i = 0; i < 3; ++i) call(own);
  CHECK(ops::weights_hashed() == before);  // only ops write there
  CHECK(is_seen(foreign, [&] { memory[7] = 5; }));
  float* const kept = own.mutable_data<float>();
  CHECK(is_seen(own, [&] { kept[8] = 5; }));
  before = ops::weights_hashed();
  for (int i = 0; i < 3; ++i) call(own);
  CHECK(ops::weights_hashed() == before + 3);  // whoever keeps the pointer may
  // Parts of one tensor, one after the other.
  const Tensor two = randn({2, 32, 16, 2, 2, 2}), first = two.select(0, 0), second = two.select(0, 1);
  for (int i = 0; i < 3; ++i) {
    CHECK(is_same(call(first), call(first.clone())));
    CHECK(is_same(call(second), call(second.clone())));
  }
}

TEST_CASE("each copy of an activation to channels-last is counted") {
  const Step step;
  reset_plan_stats();
  conv3d(step.x, step.down);
  CHECK(plan_stats().activation_reorders == 1);
  conv3d(step.x.channels_last(), step.down);
  CHECK(plan_stats().activation_reorders == 1);
}

TEST_CASE("a slice of channels is read in place where patches don't overlap, and copied elsewhere") {
  const Tensor whole = randn({2, 48, 8, 6, 8}).channels_last();
  for (const std::int64_t first : {0, 16, 32}) {
    const Tensor slice = whole.narrow(1, first, 16), copy = slice.contiguous().channels_last();
    for (const bool has_patches : {true, false}) {
      const Tensor weight = has_patches ? randn({32, 16, 2, 2, 2}) : randn({32, 16, 3, 3, 3});
      const Conv3dOptions options{.stride = has_patches ? 2 : 1};
      const Tensor y = conv3d(copy, weight, {}, options);
      Tensors results;
      std::vector<std::string> served;  // by which kernels
      reset_plan_stats();
      for (const Tensor& x : {slice, copy}) {
        const Tensor input = x.detach(), w = weight.detach();
        w.requires_grad_();
        const Tensor out = conv3d(input, w, {}, options);
        served.push_back(plan_stats().last_implementation);
        out.backward(y);
        served.push_back(plan_stats().last_implementation);
        results.push_back(out.detach());
        results.push_back(w.grad());
      }
      // The direct kernels read slices, oneDNN doesn't, which serves more or less by the processor.
      const auto copied = std::count_if(served.begin(), served.begin() + 2,
                                        [](const std::string& kernel) { return kernel != "lucid:direct"; });
      if (has_patches) CHECK(copied == 0);
      CHECK(plan_stats().activation_reorders == copied);
      for (std::size_t i : {0, 1}) {
        const auto a = results[i].to_vector<double>(), b = results[i + 2].to_vector<double>();
        for (std::size_t k = 0; k < a.size(); ++k) REQUIRE(a[k] == doctest::Approx(b[k]).epsilon(1e-4));
      }
    }
  }
}

TEST_CASE("voxel gaps are told from strides") {
  const Tensor whole = randn({2, 6, 3, 4, 5}).channels_last();
  CHECK(ops::voxel_gap(whole) == 0);
  CHECK(ops::voxel_gap(whole.narrow(1, 1, 4)) == 2);
  CHECK(ops::voxel_gap(whole.narrow(1, 1, 1)) == 5);
  CHECK(ops::voxel_gap(whole.narrow(4, 0, 1)) == 24);  // of columns, a line apart
  CHECK(ops::voxel_gap(whole.narrow(2, 0, 2)) == std::nullopt);
  CHECK(ops::voxel_gap(whole.narrow(2, 0, 2).narrow(0, 0, 1)) == 0);
  CHECK(ops::voxel_gap(whole.contiguous()) == std::nullopt);
  CHECK(ops::voxel_gap(randn({1, 1, 3, 4, 5}).expand({2, 1, 3, 4, 5})) == std::nullopt);
  CHECK(ops::voxel_gap(randn({2, 3, 1, 1, 1}).expand({2, 3, 1, 1, 4})) == std::nullopt);
}

TEST_CASE("the cache of plans is bounded and works when it holds one") {
  const Step step;
  step.run();
  set_plan_limit(1);
  CHECK(plan_stats().plans_held == 1);
  reset_plan_stats();
  step.run();
  step.run();
  CHECK(plan_stats().plans_created == 12);
  CHECK(plan_stats().plans_held == 1);
  set_plan_limit(1024);
  CHECK_THROWS_AS(set_plan_limit(0), Error);
}

TEST_CASE("plans tell which implementation ran") {
  const Tensor x = randn({1, 16, 8, 8, 8}).channels_last(), w = randn({16, 16, 2, 2, 2});
  conv3d(x, w);
  const std::string chosen = plan_stats().last_implementation;  // by what the processor has
  CHECK((chosen.starts_with("onednn:") || chosen == "lucid:direct"));
  conv3d(x.to(f64), w.to(f64));
  CHECK(plan_stats().last_implementation == "lucid:direct");
  // oneDNN has no such padding.
  conv_transpose3d(x, w, {}, {.output_padding = 2, .dilation = 3});
  CHECK(plan_stats().last_implementation.starts_with("lucid:"));
}

TEST_CASE("a hash sees every bit and the length") {
  std::vector<std::uint32_t> words(40'000);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = static_cast<std::uint32_t>(i * i);
  const auto hash = [&](std::size_t bytes) {
    return ops::hash_bytes(words.data(), static_cast<std::int64_t>(bytes));
  };
  const std::uint64_t whole = hash(4 * words.size());
  for (std::size_t i : {0, 1, 15, 16, 16383, 16384, 39'999})
    for (int bit : {0, 1, 23, 31}) {
      words[i] ^= 1u << bit;
      CHECK(hash(4 * words.size()) != whole);
      words[i] ^= 1u << bit;
    }
  words[3] ^= 1u << 31, words[7] ^= 1u << 31;  // two signs
  CHECK(hash(4 * words.size()) != whole);
  words[3] ^= 1u << 31, words[7] ^= 1u << 31;
  // Any two changes of one bit, or of the same bit of two numbers, a line apart in one column of the hash.
  std::vector<std::uint64_t> lines(24, 5), changes;
  for (int bit = 0; bit < 64; ++bit) changes.push_back(std::uint64_t{1} << bit);
  for (int bit = 0; bit < 32; ++bit) changes.push_back(std::uint64_t{0x1'0000'0001} << bit);
  const std::uint64_t before = ops::hash_bytes(lines.data(), 8 * 24);
  for (const std::uint64_t first : changes)
    for (const std::uint64_t second : changes) {
      lines[3] ^= first, lines[11] ^= second;
      CHECK(ops::hash_bytes(lines.data(), 8 * 24) != before);
      lines[3] = lines[11] = 5;
    }
  std::swap(words[100], words[116]);  // a line apart
  CHECK(hash(4 * words.size()) != whole);
  std::swap(words[100], words[116]);
  CHECK(hash(4 * words.size()) == whole);
  CHECK(hash(5) != hash(6));
  CHECK(hash(0) == hash(0));
}
