#include "nn/pad.hpp"

#include <algorithm>

#include "nn/layer_checks.hpp"

namespace lucid::nn {
namespace {

const char* name_of(PadMode mode) {
  switch (mode) {
    case PadMode::constant: return "ZeroPad";
    case PadMode::reflect: return "ReflectionPad";
    case PadMode::replicate: return "ReplicationPad";
    case PadMode::circular: return "CircularPad";
  }
  return "?";
}

template <std::size_t N>
std::vector<std::int64_t> listed(const PadAmounts<N>& padding) {
  return {padding.begin(), padding.end()};
}

// PyTorch pads other than by constants know batches of channels alone.
template <std::size_t N>
void check_rank(std::string_view layer, const Tensor& input) {
  check(input.defined(), layer, "the input is undefined");
  check(input.dim() == N + 1 || input.dim() == N + 2, layer, "input has shape ", input.shape(), "; rank ",
        N + 2, ", or ", N + 1, " without a batch axis, is required");
}

template <std::size_t N>
void check_amounts(std::string_view layer, const PadAmounts<N>& padding) {
  check(padding.given == 2 * N, layer, "padding has ", padding.given, " amounts; one, or ", 2 * N,
        " (before and after each of ", N, " axes, the last axis first), are required");
}

}  // namespace

template <std::size_t N>
PadAmounts<N>::PadAmounts(std::initializer_list<std::int64_t> amounts) : given(amounts.size()) {
  this->fill(0);
  std::copy_n(amounts.begin(), std::min(amounts.size(), 2 * N), this->begin());
}

template <std::size_t N, PadMode mode>
PadLayer<N, mode>::PadLayer(const PadAmounts<N>& padding_) : padding(padding_) {
  check_amounts(type_name(), padding);
}

template <std::size_t N, PadMode mode>
Tensor PadLayer<N, mode>::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  check_amounts(type_name(), padding);
  if constexpr (mode != PadMode::constant) check_rank<N>(type_name(), input);
  return pad(input, listed(padding), mode);
}

template <std::size_t N, PadMode mode>
std::string PadLayer<N, mode>::type_name() const {
  return lucid::str(name_of(mode), N, "d");
}

template <std::size_t N, PadMode mode>
std::string PadLayer<N, mode>::extra_repr() const {
  return detail::tuple(padding);
}

template <std::size_t N>
ConstantPad<N>::ConstantPad(const PadAmounts<N>& padding_, double value_) : padding(padding_), value(value_) {
  check_amounts(type_name(), padding);
}

template <std::size_t N>
Tensor ConstantPad<N>::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  check_amounts(type_name(), padding);
  return pad(input, listed(padding), PadMode::constant, value);
}

template <std::size_t N>
std::string ConstantPad<N>::type_name() const {
  return lucid::str("ConstantPad", N, "d");
}

template <std::size_t N>
std::string ConstantPad<N>::extra_repr() const {
  return lucid::str("padding=", detail::tuple(padding), ", value=", detail::python(value));
}

#define LUCID_PADS(N)                              \
  template struct PadAmounts<N>;                   \
  template struct ConstantPad<N>;                  \
  template struct PadLayer<N, PadMode::constant>;  \
  template struct PadLayer<N, PadMode::reflect>;   \
  template struct PadLayer<N, PadMode::replicate>; \
  template struct PadLayer<N, PadMode::circular>;
LUCID_PADS(1)
LUCID_PADS(2)
LUCID_PADS(3)
#undef LUCID_PADS

}  // namespace lucid::nn
