// What a stranger's program needs from an installed lucid: the umbrella, an op called by name (the explicit
// table survives static linking), oneDNN behind it, a layer, and gradients.
#include <cstdlib>
#include <lucid/lucid.hpp>
#include <nn/models/unet3d.hpp>
#include <vector>

using namespace lucid;

namespace {

/// Kernel and stride 2 tile the output: every input voxel fills a cube of 8 ones, so its gradient is 8.
bool op_by_name() {
  const Tensor input = ones({1, 1, 2, 2, 2}).requires_grad_();
  const Tensor weight = ones({1, 1, 2, 2, 2});
  const Tensor output = ops::call("conv_transpose3d", {input, weight}, {{"stride", 2}});
  output.sum().backward();
  return output.shape() == Shape{1, 1, 4, 4, 4} &&
         output.to_vector<float>() == std::vector<float>(64, 1.0F) &&
         input.grad().to_vector<float>() == std::vector<float>(8, 8.0F);
}

bool layer() {
  nn::ConvTranspose3d up(4, 2, {.kernel_size = 2, .stride = 2});
  up(ones({1, 4, 3, 3, 3})).sum().backward();
  for (const Tensor& parameter : up.parameters()) {
    if (!parameter.grad().defined()) return false;
  }
  return up.state_dict().size() == 2;
}

}  // namespace

int main() { return op_by_name() && layer() ? EXIT_SUCCESS : EXIT_FAILURE; }
