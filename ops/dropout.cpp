#include "ops/dropout.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "autograd/record.hpp"
#include "lucid/cpu.hpp"
#include "ops/arithmetic.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::record;

struct DropoutOptions {
  double p = 0.5;
  bool training = true;
  std::optional<std::int64_t> seed;  // of a generator made for this call; null: the default generator
};
LUCID_OPTIONS(DropoutOptions, p, training, seed)

double scale_of(double p) { return p < 1 ? 1 / (1 - p) : 0; }

// True when the call has nothing to drop.
bool is_identity(std::string_view op, const Tensor& input, double p, bool training) {
  check(input.defined(), op, "the tensor is undefined");
  check(p >= 0 && p <= 1, op, "p is ", p, "; a probability between 0 and 1 is required");
  check(is_floating(input.dtype()), op, "dtype ", input.dtype(),
        " is not supported; use a floating type, for example .to(lucid::f32)");
  return !training || p == 0 || input.numel() == 0;
}

constexpr std::int64_t kBlocksAtOnce = 256;  // of random bits: 4 KiB

// Words of `threshold` and more are kept. Bytes, since GCC vectorises no bool.
LUCID_VECTORIZED void mark_kept(bool* keep, const std::uint32_t* words, std::int64_t count,
                                std::uint64_t threshold) {
  auto* const bytes = reinterpret_cast<unsigned char*>(keep);
  const bool drops_all = threshold > UINT32_MAX;
  const auto least = static_cast<std::uint32_t>(threshold);
  for (std::int64_t i = 0; i < count; ++i) bytes[i] = (words[i] >= least) & !drops_all;
}

// True with probability 1 - p. The random words are dealt out in one fixed order, that of channels-last
// memory where the rank allows it, whatever the layout of the tensor to be masked.
Tensor keep_mask(const Shape& shape, double p, Generator* given) {
  const Tensor mask =
      shape.size() < 3 ? empty(shape, boolean) : empty_strided(shape, channels_last_strides(shape), boolean);
  Generator& generator = given ? *given : default_generator();
  const std::int64_t size = mask.numel(), blocks = (size + 3) / 4;
  const std::uint64_t first = generator.reserve(static_cast<std::uint64_t>(blocks));
  const auto threshold = static_cast<std::uint64_t>(std::llround(p * 0x1p32));  // words below it are dropped
  bool* data = mask.data_to_write<bool>();
  parallel_for(blocks, kernels::kElementGrain / 4, [&](std::int64_t begin, std::int64_t end) {
    std::uint32_t words[4 * kBlocksAtOnce];
    for (std::int64_t i = begin; i < end; i += kBlocksAtOnce) {
      const std::int64_t count = std::min(kBlocksAtOnce, end - i);
      generator.fill(words, first + static_cast<std::uint64_t>(i), count);
      mark_kept(data + 4 * i, words, std::min(4 * count, size - 4 * i), threshold);
    }
  });
  return mask;
}

Tensor scaled_where(const Tensor& mask, const Tensor& x, double scale) {
  const Tensor out = empty_like(x);
  dispatch_floating("dropout", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    kernels::map<T, T, bool>(out, x, mask, [factor = static_cast<C>(scale)](C value, bool keep) {
      return keep ? value * factor : C(0);
    });
  });
  return out;
}

// saved: the mask
Tensors dropout_backward(const Backward<DropoutOptions>& b) {
  const double scale = scale_of(b.options.p);
  if (autograd::is_recording()) return {where(b.saved[0], b.grad() * scale, 0.0)};
  return {scaled_where(b.saved[0], b.grad(), scale)};
}

// saved: 0 or 1 / (1 - p) for each channel
Tensors channels_backward(const Backward<DropoutOptions>& b) { return {b.grad() * b.saved[0]}; }

}  // namespace

Tensor dropout(const Tensor& input, double p, bool training, Generator* generator) {
  const autograd::OpTimer timer("dropout");
  if (is_identity("dropout", input, p, training)) return input;
  const Tensor mask = keep_mask(input.shape(), p, generator);
  return record("dropout", scaled_where(mask, input, scale_of(p)), {input}, {mask},
                DropoutOptions{p, training, {}}, dropout_backward);
}

namespace {

// Drops all of the last `spatial` axes together.
Tensor drop_channels(std::string_view op, const Tensor& input, std::size_t spatial, double p, bool training,
                     Generator* generator) {
  const autograd::OpTimer timer(op);
  if (is_identity(op, input, p, training)) return input;
  Shape channels = input.shape();
  std::fill(channels.end() - spatial, channels.end(), 1);
  Tensor noise, out;
  {
    const no_grad guard;
    noise = keep_mask(channels, p, generator).to(input.dtype()) * scale_of(p);
    out = input * noise;
  }
  return record(op, out, {input}, {noise}, DropoutOptions{p, training, {}}, channels_backward);
}

// `rank` is that of a batch.
void require_rank(std::string_view op, const Tensor& input, std::size_t rank, const char* shapes) {
  check(input.defined(), op, "the tensor is undefined");
  const std::size_t given = input.shape().size();
  check(given == rank || given + 1 == rank, op, "input has shape ", input.shape(), "; ", shapes,
        " is required");
}

}  // namespace

Tensor dropout1d(const Tensor& input, double p, bool training, Generator* generator) {
  require_rank("dropout1d", input, 3, "(N, C, L) or (C, L)");
  return drop_channels("dropout1d", input, 1, p, training, generator);
}
Tensor dropout2d(const Tensor& input, double p, bool training, Generator* generator) {
  require_rank("dropout2d", input, 4, "(N, C, H, W) or (N, C, L)");
  return drop_channels("dropout2d", input, input.shape().size() - 2, p, training, generator);
}
Tensor dropout3d(const Tensor& input, double p, bool training, Generator* generator) {
  require_rank("dropout3d", input, 5, "(N, C, D, H, W) or (C, D, H, W)");
  return drop_channels("dropout3d", input, 3, p, training, generator);
}

namespace ops {
namespace {

using Function = Tensor (*)(const Tensor&, double, bool, Generator*);

Op dropout_record(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}}};
  op.defaults = default_options<DropoutOptions>();
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& given) -> Tensors {
    const auto options = read_options<DropoutOptions>(name, given);
    Generator own(static_cast<std::uint64_t>(options.seed.value_or(0)));
    return {function(in[0], options.p, options.training, options.seed ? &own : nullptr)};
  };
  op.samples = [](Generator& generator) -> std::vector<Sample> {
    const Shape shape{2, 3, 2, 3, 4};
    return {{{normal(shape, generator)}, {{"seed", 1}}},
            {{normal(shape, generator)}, {{"p", 0.2}, {"seed", 2}}},
            {{normal(shape, generator)}, {{"p", 0.3}, {"training", false}}},
            {{normal({3, 2, 3, 4}, generator)}, {{"p", 0.7}, {"seed", -3}}},
            {{normal(shape, generator)}, {{"p", 0.0}}},
            {{normal(shape, generator)}, {{"p", 1.0}}}};
  };
  op.errors = []() -> std::vector<ErrorCase> {
    const Tensor x = ones({2, 3, 1, 1, 1}, f64);
    return {{{x}, {{"p", 1.5}}, "1.5"},
            {{x}, {{"p", -0.1}, {"training", false}}, "-0.1"},
            {{x.to(i64)}, {}, "int64"}};
  };
  op.linear_in = {0};
  return op;
}

}  // namespace

Op dropout_op() {
  Op op = dropout_record("dropout", "elements set to 0 with probability p, the others scaled by 1 / (1 - p)",
                         lucid::dropout);
  op.samples = [common = op.samples](Generator& generator) {
    auto samples = common(generator);
    samples.push_back({{normal({7}, generator)}, {{"seed", 5}}});
    samples.push_back({{normal({3, 5}, generator)}, {{"p", 0.25}, {"seed", 6}}});
    samples.push_back({{normal({2, 3, 3}, generator)}, {{"seed", 7}}});
    return samples;
  };
  return op;
}

namespace {

// Samples are cut down to batches of rank `rank`, and to what that drops an axis of.
Op channels_record(std::string name, std::string doc, Function function, std::size_t rank) {
  Op op = dropout_record(std::move(name), std::move(doc), function);
  op.samples = [rank](Generator& generator) -> std::vector<Sample> {
    const Shape sizes{2, 3, 2, 3, 4};
    const Shape batch(std::span(sizes.begin(), rank)), single(std::span(sizes.begin() + 1, rank - 1));
    return {{{normal(batch, generator)}, {{"seed", 1}}},
            {{normal(batch, generator)}, {{"p", 0.2}, {"seed", 2}}},
            {{normal(batch, generator)}, {{"p", 0.3}, {"training", false}}},
            {{normal(single, generator)}, {{"p", 0.7}, {"seed", -3}}},
            {{normal(batch, generator)}, {{"p", 0.0}}},
            {{normal(batch, generator)}, {{"p", 1.0}}}};
  };
  op.errors = [rank]() -> std::vector<ErrorCase> {
    const Tensor x = ones(Shape(std::vector<std::int64_t>(rank, 1)), f64);
    return {{{x}, {{"p", 1.5}}, "1.5"},
            {{x}, {{"p", -0.1}, {"training", false}}, "-0.1"},
            {{x.to(i64)}, {}, "int64"},
            {{ones({2}, f64)}, {}, "(2)"}};
  };
  return op;
}

}  // namespace

Op dropout1d_op() {
  return channels_record("dropout1d", "whole channels of (N, C, L) or (C, L) dropped as in dropout",
                         lucid::dropout1d, 3);
}
Op dropout2d_op() {
  return channels_record("dropout2d", "whole channels of (N, C, H, W) or (N, C, L) dropped as in dropout",
                         lucid::dropout2d, 4);
}
Op dropout3d_op() {
  return channels_record("dropout3d",
                         "whole channels of (N, C, D, H, W) or (C, D, H, W) dropped as in dropout",
                         lucid::dropout3d, 5);
}

}  // namespace ops
}  // namespace lucid
