#pragma once
// Convolutions and transposed convolutions over one, two or three spatial axes. The one- and two-dimensional
// forms run as three-dimensional ones with axes of size 1.

#include <array>
#include <string_view>

#include "lucid/tensor.hpp"
#include "ops/dims.hpp"

namespace lucid {

/// Zeros added around the input of a convolution: one number for all axes, one for each, or a name.
/// "same": as many as make the output as large as the input (stride 1 only; when the total is odd the extra
/// zero goes to the end). "valid": none.
template <std::size_t N>
class Padding {
 public:
  enum class Mode : std::uint8_t { amounts, same, valid };

  Padding(std::int64_t value = 0) : amounts_(value) {}
  Padding(int value) : amounts_(value) {}
  Padding(std::initializer_list<std::int64_t> values) : amounts_(values) {}
  Padding(const Dims<N>& amounts) : amounts_(amounts) {}
  /// Throws Error unless `name` is "same" or "valid".
  Padding(const char* name) : Padding(std::string_view(name)) {}
  Padding(std::string_view name) : amounts_(0), mode_(name == "same" ? Mode::same : Mode::valid) {
    check(name == "same" || name == "valid", "padding", "\"", name,
          "\" is not known; use \"same\", \"valid\" or numbers");
  }

  Mode mode() const { return mode_; }
  /// Zeros on either side of each axis; all 0 when a name was given.
  const Dims<N>& amounts() const { return amounts_; }

 private:
  Dims<N> amounts_;
  Mode mode_ = Mode::amounts;
};

template <std::size_t N>
struct ConvOptions {
  Dims<N> stride = 1;      ///< step between the input positions that outputs are centred on
  Padding<N> padding = 0;  ///< zeros around the input
  Dims<N> dilation = 1;    ///< step between the input positions that one kernel touches
  std::int64_t groups = 1;
};

template <std::size_t N>
struct ConvTransposeOptions {
  Dims<N> stride = 1;          ///< step between the output positions that neighbouring inputs are spread to
  Dims<N> padding = 0;         ///< cut off both ends of each axis of the output
  Dims<N> output_padding = 0;  ///< added to the end of each axis; smaller than stride or dilation
  Dims<N> dilation = 1;        ///< step between the output positions that one kernel touches
  std::int64_t groups = 1;
};

using Conv1dOptions = ConvOptions<1>;
using Conv2dOptions = ConvOptions<2>;
using Conv3dOptions = ConvOptions<3>;
using ConvTranspose1dOptions = ConvTransposeOptions<1>;
using ConvTranspose2dOptions = ConvTransposeOptions<2>;
using ConvTranspose3dOptions = ConvTransposeOptions<3>;

/// Cross-correlation. input (N, Cin, D, H, W) or unbatched (Cin, D, H, W); weight (Cout, Cin / groups, kD,
/// kH, kW); bias (Cout) or undefined. Returns (N, Cout, ...) stored channels-last, with, on each axis,
///   floor((n + padding before and after - dilation * (k - 1) - 1) / stride) + 1
/// elements. Throws Error naming the argument, its value and what is valid.
Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias = {},
              const Conv1dOptions& options = {});
Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias = {},
              const Conv2dOptions& options = {});
Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias = {},
              const Conv3dOptions& options = {});

/// The adjoint of the convolution with the same stride, padding and dilation (often called deconvolution).
/// input (N, Cin, D, H, W) or unbatched (Cin, D, H, W); weight (Cin, Cout / groups, kD, kH, kW); bias (Cout)
/// or undefined. Returns (N, Cout, ...) stored channels-last, with, on each axis,
///   stride * (n - 1) + dilation * (k - 1) - 2 * padding + output_padding + 1
/// elements. Throws Error naming the argument, its value and what is valid.
Tensor conv_transpose1d(const Tensor& input, const Tensor& weight, const Tensor& bias = {},
                        const ConvTranspose1dOptions& options = {});
Tensor conv_transpose2d(const Tensor& input, const Tensor& weight, const Tensor& bias = {},
                        const ConvTranspose2dOptions& options = {});
Tensor conv_transpose3d(const Tensor& input, const Tensor& weight, const Tensor& bias = {},
                        const ConvTranspose3dOptions& options = {});

}  // namespace lucid
