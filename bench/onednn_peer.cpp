#include "bench/onednn_peer.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <unordered_map>

#include "bench/operands.hpp"
#include "ops/onednn/shim.hpp"

namespace bench {
namespace {

using dnnl::memory;
using lucid::onednn::engine;

// A layout that takes this many times as long as the best in the first round is out.
constexpr double kFarBehind = 1.5;
constexpr std::array kLayouts = {memory::format_tag::ncdhw, memory::format_tag::ndhwc,
                                 memory::format_tag::any};

struct Convolution {
  using Forward = dnnl::convolution_forward;
  using BackwardData = dnnl::convolution_backward_data;
  using BackwardWeights = dnnl::convolution_backward_weights;
  static constexpr auto algorithm = dnnl::algorithm::convolution_direct;
};
struct Deconvolution {
  using Forward = dnnl::deconvolution_forward;
  using BackwardData = dnnl::deconvolution_backward_data;
  using BackwardWeights = dnnl::deconvolution_backward_weights;
  static constexpr auto algorithm = dnnl::algorithm::deconvolution_direct;
};

// Sizes as oneDNN has them: the weight is ([groups,] outputs, inputs, kernel).
struct Sizes {
  memory::dims input, weight, output, strides, dilations, before, after;
};

Sizes sizes_of(const ConvCase& c) {
  const lucid::ops::ConvGeometry g = c.geometry();
  Sizes s;
  s.input = c.input_shape().to_vector();
  s.output = c.output_shape().to_vector();
  if (c.groups > 1) s.weight.push_back(c.groups);
  s.weight.push_back(c.out / c.groups);
  s.weight.push_back(c.in / c.groups);
  for (std::size_t i = 0; i < 3; ++i) {
    s.weight.push_back(g.kernel[i]);
    s.strides.push_back(g.stride[i]);
    s.dilations.push_back(g.dilation[i] - 1);
    s.before.push_back(g.padding[i]);
    // Any of `stride` values satisfies oneDNN. Where all are negative, no kernel touches the end of x, and
    // oneDNN has no such case.
    const std::int64_t span = (g.kernel[i] - 1) * g.dilation[i] + 1;
    const std::int64_t least = (g.y[i] - 1) * g.stride[i] + span - g.x[i] - g.padding[i];
    s.after.push_back(least >= 0 ? least : std::min<std::int64_t>(0, least + g.stride[i] - 1));
  }
  return s;
}

memory::desc plain(const memory::dims& dims) {
  const auto tag = dims.size() == 6 ? memory::format_tag::abcdef : memory::format_tag::abcde;
  return {dims, memory::data_type::f32, tag};
}

std::int64_t product(const memory::dims& dims) {
  std::int64_t count = 1;
  for (std::int64_t size : dims) count *= size;
  return count;
}

// The pattern in the layout of `desc`; padding of blocks is 0.
memory filled(const memory::desc& desc, const std::vector<float>& values, const memory::dims& dims) {
  memory source(plain(dims), engine(), const_cast<float*>(values.data())), out(desc, engine());
  dnnl::reorder(source, out).execute(lucid::onednn::stream(), source, out);
  lucid::onednn::stream().wait();
  return out;
}

std::vector<float> activation_values(const memory::dims& dims) {
  std::vector<float> values(static_cast<std::size_t>(product(dims)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = pattern_value(static_cast<std::int64_t>(i));
  return values;
}

// The weight's pattern is counted in the caller's order, which for a transposed convolution has inputs before
// outputs.
std::vector<float> weight_values(const ConvCase& c) {
  const std::int64_t outputs = c.out / c.groups, inputs = c.in / c.groups;
  const std::int64_t taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(c.groups * outputs * inputs * taps));
  for (std::int64_t g = 0; g < c.groups; ++g)
    for (std::int64_t o = 0; o < outputs; ++o)
      for (std::int64_t i = 0; i < inputs; ++i)
        for (std::int64_t k = 0; k < taps; ++k)
          values.push_back(pattern_value(c.transposed() ? ((g * inputs + i) * outputs + o) * taps + k
                                                        : ((g * outputs + o) * inputs + i) * taps + k));
  return values;
}

// One primitive with its operands, ready to run.
struct Candidate {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
  memory result;
  std::vector<double> rounds;  // ms
  bool dropped = false;

  void run() {
    primitive.execute(lucid::onednn::stream(), arguments);
    lucid::onednn::stream().wait();
  }
};

template <class Primitive>
Candidate candidate(const typename Primitive::primitive_desc& desc) {
  Candidate c;
  c.primitive = Primitive(desc);
  c.arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(desc.scratchpad_desc(), engine()));
  return c;
}

template <class Family>
Candidate described(const ConvCase& c, Pass pass, memory::format_tag layout) {
  const Sizes s = sizes_of(c);
  const memory::desc input(s.input, memory::data_type::f32, layout),
      output(s.output, memory::data_type::f32, layout);
  const memory::desc weight(s.weight, memory::data_type::f32, memory::format_tag::any);
  const dnnl::primitive_attr attr = lucid::onednn::user_scratchpad();
  const auto forward = lucid::onednn::describe<typename Family::Forward>(
      attr, pass == Pass::forward ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training,
      Family::algorithm, input, weight, output, s.strides, s.dilations, s.before, s.after);
  const auto backward = [&]<class Primitive>(std::type_identity<Primitive>) {
    return lucid::onednn::describe_backward<Primitive>(attr, forward, Family::algorithm, input, weight,
                                                       output, s.strides, s.dilations, s.before, s.after);
  };
  const auto input_in = [&](const memory::desc& desc) {
    return filled(desc, activation_values(s.input), s.input);
  };
  const auto grad_in = [&](const memory::desc& desc) {
    return filled(desc, activation_values(s.output), s.output);
  };
  const auto weight_in = [&](const memory::desc& desc) { return filled(desc, weight_values(c), s.weight); };

  Candidate out;
  if (pass == Pass::forward) {
    out = candidate<typename Family::Forward>(forward);
    out.result = memory(forward.dst_desc(), engine());
    out.arguments.insert({{DNNL_ARG_SRC, input_in(forward.src_desc())},
                          {DNNL_ARG_WEIGHTS, weight_in(forward.weights_desc())},
                          {DNNL_ARG_DST, out.result}});
  } else if (pass == Pass::backward_data) {
    const auto desc = backward(std::type_identity<typename Family::BackwardData>());
    out = candidate<typename Family::BackwardData>(desc);
    out.result = memory(desc.diff_src_desc(), engine());
    out.arguments.insert({{DNNL_ARG_DIFF_DST, grad_in(desc.diff_dst_desc())},
                          {DNNL_ARG_WEIGHTS, weight_in(desc.weights_desc())},
                          {DNNL_ARG_DIFF_SRC, out.result}});
  } else {
    const auto desc = backward(std::type_identity<typename Family::BackwardWeights>());
    out = candidate<typename Family::BackwardWeights>(desc);
    out.result = memory(desc.diff_weights_desc(), engine());
    out.arguments.insert({{DNNL_ARG_SRC, input_in(desc.src_desc())},
                          {DNNL_ARG_DIFF_DST, grad_in(desc.diff_dst_desc())},
                          {DNNL_ARG_DIFF_WEIGHTS, out.result}});
  }
  return out;
}

}  // namespace

struct OnednnPeer::State {
  Sizes sizes;
  std::array<std::vector<Candidate>, kPasses.size()> candidates;

  std::vector<Candidate>& of(Pass pass) { return candidates[static_cast<std::size_t>(pass)]; }
  /// Of the pass's result.
  const memory::dims& dims(Pass pass) const {
    return pass == Pass::forward ? sizes.output : pass == Pass::backward_data ? sizes.input : sizes.weight;
  }
};

OnednnPeer::OnednnPeer(const ConvCase& shape) : state_(std::make_unique<State>()) {
  state_->sizes = sizes_of(shape);
  for (Pass pass : kPasses)
    for (memory::format_tag layout : kLayouts) try {
        state_->of(pass).push_back(shape.transposed() ? described<Deconvolution>(shape, pass, layout)
                                                      : described<Convolution>(shape, pass, layout));
      } catch (const dnnl::error& error) {
        // A peer that is described wrongly must not pass for one that has no such operation.
        const bool negative =
            std::ranges::any_of(state_->sizes.after, [](std::int64_t size) { return size < 0; });
        if (error.status != dnnl_unimplemented && !(error.status == dnnl_invalid_arguments && negative))
          throw;
      }
}

OnednnPeer::~OnednnPeer() = default;

void OnednnPeer::measure(Pass pass, const RepeatRule& rule) {
  double best = std::numeric_limits<double>::infinity();
  for (Candidate& c : state_->of(pass)) {
    if (c.dropped) continue;
    c.rounds.push_back(timed_round(rule, [&] { c.run(); }));
    best = std::min(best, c.rounds.back());
  }
  for (Candidate& c : state_->of(pass))
    if (c.rounds.size() == 1 && c.rounds[0] > kFarBehind * best) c.dropped = true;
}

std::optional<double> OnednnPeer::ms(Pass pass) const {
  std::optional<double> best;
  for (const Candidate& c : state_->of(pass))
    if (!c.dropped && !c.rounds.empty()) best = std::min(best.value_or(median(c.rounds)), median(c.rounds));
  return best;
}

std::vector<double> OnednnPeer::norms(Pass pass) const {
  const memory::dims& dims = state_->dims(pass);
  std::vector<float> values(static_cast<std::size_t>(product(dims)));
  std::vector<double> out;
  for (Candidate& c : state_->of(pass)) {
    c.run();
    memory target(plain(dims), engine(), values.data());
    dnnl::reorder(c.result, target).execute(lucid::onednn::stream(), c.result, target);
    lucid::onednn::stream().wait();
    out.push_back(bench::norm(values.data(), static_cast<std::int64_t>(values.size())));
  }
  return out;
}

}  // namespace bench
