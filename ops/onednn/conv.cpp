#include "ops/onednn/conv.hpp"

#include <limits>
#include <optional>
#include <unordered_map>

#include "ops/onednn/shim.hpp"

namespace lucid::onednn {
namespace {

using dnnl::memory;
using ops::ConvPass;
using ops::ConvProblem;

constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();

memory::dims dims_of(const Dims3& values) { return {values.begin(), values.end()}; }

// Zeros behind the last element of x on one axis. oneDNN demands (x - span + before + after) / stride + 1 ==
// y exactly, which `stride` values fulfil. Where all of them are negative, no kernel touches the end of x,
// and oneDNN has no such case.
std::optional<std::int64_t> padding_after(const ops::ConvGeometry& g, std::size_t axis) {
  const std::int64_t span = (g.kernel[axis] - 1) * g.dilation[axis] + 1;
  const std::int64_t least = (g.y[axis] - 1) * g.stride[axis] + span - g.x[axis] - g.padding[axis];
  if (least >= 0) return least;
  if (least + g.stride[axis] - 1 >= 0) return 0;
  return std::nullopt;
}

bool fits_32_bits(const ConvProblem& p) {
  const ops::ConvGeometry& g = p.geometry;
  const auto times = [](std::int64_t& product, std::int64_t factor) {
    return !__builtin_mul_overflow(product, factor, &product) && product <= kMost;
  };
  std::int64_t x = p.batch, y = p.batch, weight = p.x_channels;
  bool fits =
      times(x, p.x_row()) && times(y, p.y_row()) && times(weight, p.y_channels) && times(weight, g.groups);
  for (std::size_t i = 0; fits && i < 3; ++i) {
    // The furthest positions that kernels and strides reach.
    std::int64_t span = g.kernel[i], reach = g.y[i];
    fits = g.padding[i] <= kMost && times(x, g.x[i]) && times(y, g.y[i]) && times(weight, g.kernel[i]) &&
           times(span, g.dilation[i]) && times(reach, g.stride[i]) && span + reach + g.padding[i] <= kMost;
  }
  return fits;
}

memory::data_type type_of(DType dtype) {
  return dtype == bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory::desc activation(std::int64_t batch, std::int64_t channels, const Dims3& sizes, DType dtype) {
  return {{batch, channels, sizes[0], sizes[1], sizes[2]}, type_of(dtype), memory::format_tag::ndhwc};
}

// Logical sizes of the weight as oneDNN orders them: ([groups,] outputs, inputs, kernel). A deconvolution's
// outputs are the channels of x.
memory::dims weight_dims(const ConvProblem& p) {
  memory::dims dims;
  if (p.geometry.groups > 1) dims.push_back(p.geometry.groups);
  dims.push_back(p.geometry.transposed ? p.x_channels : p.y_channels);
  dims.push_back(p.geometry.transposed ? p.y_channels : p.x_channels);
  dims.insert(dims.end(), p.geometry.kernel.begin(), p.geometry.kernel.end());
  return dims;
}

// The caller's weight (y channels, x channels / groups, kernel) in that order: strides are swapped, nothing
// moves.
memory::dims weight_strides(const ConvProblem& p, const Strides& given) {
  memory::dims strides;
  if (p.geometry.groups > 1) strides.push_back(p.y_channels * given[0]);
  strides.push_back(p.geometry.transposed ? given[1] : given[0]);
  strides.push_back(p.geometry.transposed ? given[0] : given[1]);
  strides.insert(strides.end(), given.begin() + 2, given.end());
  return strides;
}

// Everything that describes a primitive, named by the form's operands.
struct Description {
  memory::desc x, weight, weight_grad, y, bias;
  memory::dims strides, dilations, before, after;
};

std::optional<Description> described(const ConvProblem& p, DType dtype, bool has_bias) {
  if (!fits_32_bits(p)) return std::nullopt;
  const ops::ConvGeometry& g = p.geometry;
  Description d;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto after = padding_after(g, i);
    if (!after) return std::nullopt;
    d.after.push_back(*after);
    d.dilations.push_back(g.dilation[i] - 1);  // oneDNN counts the gaps
  }
  d.strides = dims_of(g.stride);
  d.before = dims_of(g.padding);
  d.x = activation(p.batch, p.x_row(), g.x, dtype);
  d.y = activation(p.batch, p.y_row(), g.y, dtype);
  d.weight = memory::desc(weight_dims(p), type_of(dtype), memory::format_tag::any);
  d.weight_grad = memory::desc(weight_dims(p), memory::data_type::f32, memory::format_tag::any);
  if (has_bias)
    d.bias = memory::desc({g.transposed ? p.x_row() : p.y_row()}, type_of(dtype), memory::format_tag::x);
  return d;
}

}  // namespace

struct Convolution::State {
  ConvPass pass;
  memory::desc x, y, bias;
  memory::desc weight, packed;  // the caller's layout, oneDNN's
  std::optional<dnnl::reorder> packing;
  dnnl::primitive primitive;
  memory::desc scratchpad;
  std::int64_t scratchpad_bytes = 0;
  std::string implementation;
  int x_argument = 0, weight_argument = 0, y_argument = 0;

  template <class Primitive>
  void take(const typename Primitive::primitive_desc& desc, const memory::desc& chosen_weight) {
    primitive = Primitive(desc);
    packed = chosen_weight;
    scratchpad = desc.scratchpad_desc();
    scratchpad_bytes = static_cast<std::int64_t>(scratchpad.get_size());
    implementation = desc.impl_info_str();
  }

  void describe_convolution(const Description& d, const dnnl::primitive_attr& attr);
  void describe_deconvolution(const Description& d, const dnnl::primitive_attr& attr);
  void describe_packing();
  void execute(const Tensor& x_data, const memory& used_weight, const Tensor& y_data,
               const Tensor& bias_data) const;
};

void Convolution::State::describe_convolution(const Description& d, const dnnl::primitive_attr& attr) {
  using dnnl::convolution_backward_data, dnnl::convolution_backward_weights, dnnl::convolution_forward;
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
  const auto forward = [&](dnnl::prop_kind kind) {
    return describe<convolution_forward>(attr, kind, algorithm, d.x, d.weight, d.bias, d.y, d.strides,
                                         d.dilations, d.before, d.after);
  };
  if (pass == ConvPass::y) {
    const auto desc = forward(dnnl::prop_kind::forward_inference);
    take<convolution_forward>(desc, desc.weights_desc());
    x_argument = DNNL_ARG_SRC, weight_argument = DNNL_ARG_WEIGHTS, y_argument = DNNL_ARG_DST;
  } else if (pass == ConvPass::x) {
    const auto desc = describe_backward<convolution_backward_data>(
        attr, forward(dnnl::prop_kind::forward_training), algorithm, d.x, d.weight, d.y, d.strides,
        d.dilations, d.before, d.after);
    take<convolution_backward_data>(desc, desc.weights_desc());
    x_argument = DNNL_ARG_DIFF_SRC, weight_argument = DNNL_ARG_WEIGHTS, y_argument = DNNL_ARG_DIFF_DST;
  } else {
    const auto desc = describe_backward<convolution_backward_weights>(
        attr, forward(dnnl::prop_kind::forward_training), algorithm, d.x, d.weight_grad, d.y, d.strides,
        d.dilations, d.before, d.after);
    take<convolution_backward_weights>(desc, desc.diff_weights_desc());
    x_argument = DNNL_ARG_SRC, weight_argument = DNNL_ARG_DIFF_WEIGHTS, y_argument = DNNL_ARG_DIFF_DST;
  }
}

void Convolution::State::describe_deconvolution(const Description& d, const dnnl::primitive_attr& attr) {
  using dnnl::deconvolution_backward_data, dnnl::deconvolution_backward_weights, dnnl::deconvolution_forward;
  constexpr auto algorithm = dnnl::algorithm::deconvolution_direct;
  const auto forward = [&](dnnl::prop_kind kind) {
    return describe<deconvolution_forward>(attr, kind, algorithm, d.y, d.weight, d.bias, d.x, d.strides,
                                           d.dilations, d.before, d.after);
  };
  if (pass == ConvPass::x) {
    const auto desc = forward(dnnl::prop_kind::forward_inference);
    take<deconvolution_forward>(desc, desc.weights_desc());
    y_argument = DNNL_ARG_SRC, weight_argument = DNNL_ARG_WEIGHTS, x_argument = DNNL_ARG_DST;
  } else if (pass == ConvPass::y) {
    const auto desc = describe_backward<deconvolution_backward_data>(
        attr, forward(dnnl::prop_kind::forward_training), algorithm, d.y, d.weight, d.x, d.strides,
        d.dilations, d.before, d.after);
    take<deconvolution_backward_data>(desc, desc.weights_desc());
    y_argument = DNNL_ARG_DIFF_SRC, weight_argument = DNNL_ARG_WEIGHTS, x_argument = DNNL_ARG_DIFF_DST;
  } else {
    const auto desc = describe_backward<deconvolution_backward_weights>(
        attr, forward(dnnl::prop_kind::forward_training), algorithm, d.y, d.weight_grad, d.x, d.strides,
        d.dilations, d.before, d.after);
    take<deconvolution_backward_weights>(desc, desc.diff_weights_desc());
    y_argument = DNNL_ARG_SRC, weight_argument = DNNL_ARG_DIFF_WEIGHTS, x_argument = DNNL_ARG_DIFF_DST;
  }
}

// A weight that is read is packed before the primitive, one that is produced is unpacked after it.
void Convolution::State::describe_packing() {
  if (packed == weight) return;
  const bool produced = pass == ConvPass::w;
  packing.emplace(dnnl::reorder::primitive_desc(engine(), produced ? packed : weight, engine(),
                                                produced ? weight : packed));
}

namespace {

dnnl::post_ops post_ops(const ops::ConvEpilogue& epilogue) {
  const kernels::Rectifier &r = epilogue.rectifier, none;
  dnnl::post_ops out;
  if (epilogue.accumulate) out.append_sum(1.0f);
  if (r.slope != none.slope) append_eltwise(out, dnnl::algorithm::eltwise_relu, r.slope, 0);
  if (r.low == 0 && r.high == none.high)
    append_eltwise(out, dnnl::algorithm::eltwise_relu, 0, 0);
  else if (r.low != none.low || r.high != none.high)
    append_eltwise(out, dnnl::algorithm::eltwise_clip, r.low, r.high);
  return out;
}

}  // namespace

bool has_bf16() {
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto least = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (isa & least) == least;
}

Convolution::Convolution(std::unique_ptr<State> state) : state_(std::move(state)) {}
Convolution::~Convolution() = default;

std::unique_ptr<Convolution> Convolution::make(const ConvProblem& problem, ConvPass pass, DType dtype,
                                               const Strides& strides, bool has_bias,
                                               const ops::ConvEpilogue& epilogue) {
  // Backward primitives take no bias.
  const bool is_forward = pass == (problem.geometry.transposed ? ConvPass::x : ConvPass::y);
  if ((has_bias || !epilogue.is_nothing()) && !is_forward) return nullptr;
  const auto description = described(problem, dtype, has_bias);
  if (!description) return nullptr;
  auto state = std::make_unique<State>();
  state->pass = pass;
  state->x = description->x;
  state->y = description->y;
  state->bias = description->bias;
  try {
    state->weight = memory::desc(weight_dims(problem), type_of(pass == ConvPass::w ? f32 : dtype),
                                 weight_strides(problem, strides));
    dnnl::primitive_attr attr = user_scratchpad();
    if (!epilogue.is_nothing()) attr.set_post_ops(post_ops(epilogue));
    if (problem.geometry.transposed)
      state->describe_deconvolution(*description, attr);
    else
      state->describe_convolution(*description, attr);
    state->describe_packing();
  } catch (const dnnl::error&) {
    return nullptr;
  }
  return std::unique_ptr<Convolution>(new Convolution(std::move(state)));
}

const std::string& Convolution::implementation() const { return state_->implementation; }
bool Convolution::is_reference() const { return state_->implementation.find("ref") != std::string::npos; }
bool Convolution::unfolds() const { return state_->implementation.find("gemm") != std::string::npos; }
bool Convolution::packs_weight() const { return state_->packing.has_value(); }

namespace {

memory bound(const memory::desc& desc, const void* data) {
  return memory(desc, engine(), const_cast<void*>(data));
}

// A written tensor's version counts as changed; the others are only read.
const void* data_of(const Tensor& tensor, bool written) {
  if (tensor.dtype() == bf16) return written ? tensor.data_to_write<bfloat16>() : tensor.data<bfloat16>();
  return written ? tensor.data_to_write<float>() : tensor.data<float>();
}

Tensor buffer(std::int64_t bytes) { return empty({bytes}, u8); }

}  // namespace

void Convolution::State::execute(const Tensor& x_data, const memory& used_weight, const Tensor& y_data,
                                 const Tensor& bias_data) const {
  Tensor scratchpad_buffer;
  std::unordered_map<int, memory> arguments = {{x_argument, bound(x, data_of(x_data, pass == ConvPass::x))},
                                               {y_argument, bound(y, data_of(y_data, pass == ConvPass::y))},
                                               {weight_argument, used_weight}};
  if (bias_data.defined()) arguments.emplace(DNNL_ARG_BIAS, bound(bias, data_of(bias_data, false)));
  if (scratchpad_bytes > 0) {
    scratchpad_buffer = buffer(scratchpad_bytes);
    arguments.emplace(DNNL_ARG_SCRATCHPAD, bound(scratchpad, scratchpad_buffer.data<std::uint8_t>()));
  }
  primitive.execute(stream(), arguments);
}

void Convolution::run(const Tensor& x, const Tensor& weight, const Tensor& y, const Tensor& bias,
                      const ops::PackedWeights& kept) const try {
  const State& s = *state_;
  memory caller_weight = bound(s.weight, data_of(weight, s.pass == ConvPass::w));
  memory used_weight = caller_weight;
  Tensor packed_buffer;
  if (s.packing) {
    const auto packed_bytes = static_cast<std::int64_t>(s.packed.get_size());
    packed_buffer = s.pass == ConvPass::w ? buffer(packed_bytes) : kept.find_or_pack(weight, [&] {
      const Tensor out = buffer(packed_bytes);
      memory target = bound(s.packed, out.data<std::uint8_t>());
      s.packing->execute(stream(), caller_weight, target);
      stream().wait();
      return out;
    });
    used_weight = bound(s.packed, packed_buffer.data<std::uint8_t>());
  }
  s.execute(x, used_weight, y, bias);
  if (s.packing && s.pass == ConvPass::w) s.packing->execute(stream(), used_weight, caller_weight);
  stream().wait();
} catch (const dnnl::error& error) {
  raise("convolution", "oneDNN's ", state_->implementation, " failed: ", error.what());
}

Tensor Convolution::packed(const Tensor& weight) const try {
  const State& s = *state_;
  Tensor out = buffer(static_cast<std::int64_t>(s.packed.get_size()));
  memory to = bound(s.packed, out.data<std::uint8_t>());
  memory from = bound(s.weight, data_of(weight, false));
  dnnl::reorder(from, to).execute(stream(), from, to);
  stream().wait();
  return out;
} catch (const dnnl::error& error) {
  raise("convolution", "oneDNN's packing for ", state_->implementation, " failed: ", error.what());
}

void Convolution::run_packed(const Tensor& x, const Tensor& packed_weight, const Tensor& y,
                             const Tensor& bias) const try {
  state_->execute(x, bound(state_->packed, packed_weight.data<std::uint8_t>()), y, bias);
  stream().wait();
} catch (const dnnl::error& error) {
  raise("convolution", "oneDNN's ", state_->implementation, " failed: ", error.what());
}

}  // namespace lucid::onednn
