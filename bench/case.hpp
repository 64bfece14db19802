#pragma once
// The shapes that are measured, and what one pass over them costs at least.

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "ops/conv_shape.hpp"

namespace bench {

enum class Pass { forward, backward_data, backward_weights };
inline constexpr std::array kPasses = {Pass::forward, Pass::backward_data, Pass::backward_weights};
/// "forward", "backward-data", "backward-weights"
const char* name_of(Pass pass);

/// One convolution without a bias. `in` and `out` are the channels of the layer's input and output.
struct ConvCase {
  std::string group;
  std::string op;  ///< "conv3d" or "conv_transpose3d"
  std::int64_t batch = 1, in = 1, out = 1, groups = 1;
  lucid::Dims3 side = 1;  ///< of the input
  lucid::Dims3 kernel = 1, stride = 1, padding = 0, output_padding = 0, dilation = 1;

  bool transposed() const { return op == "conv_transpose3d"; }
  /// "1 256>128, 8, k2 s2 p0 op0 g1 d1"; axes that differ read "k1x2x2".
  std::string name() const;
  lucid::ops::ConvGeometry geometry() const;
  lucid::Shape input_shape() const;
  lucid::Shape weight_shape() const;
  lucid::Shape output_shape() const;

  /// Of one pass, whichever it is. Taps that fall on padding count, as in the literature.
  double flops() const;
  /// Input, weight and output, each moved once, in float32.
  double bytes() const;
};

/// As torch_conv.py reads it.
nlohmann::json to_request(const ConvCase& shape);

/// The cases of bench/shapes.json that `filter` names: empty for all, names of groups with commas between
/// them, or a regular expression that is searched in "<group> <op> <name>". Throws lucid::Error when it names
/// none.
std::vector<ConvCase> read_cases(const std::string& path, const std::string& filter);

}  // namespace bench
