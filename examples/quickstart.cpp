// Tensors, gradients and conv_transpose3d in one page: the examples of its reference page, then a layer that
// learns.

#include <iostream>

#include "lucid/lucid.hpp"

using namespace lucid;
namespace F = nn::functional;

int main() {
  // A basic transposed convolution: one voxel spreads the kernel.
  const Tensor input = Tensor::from({1.0}, {1, 1, 1, 1, 1});
  const Tensor weight = Tensor::from({1.0, 0.5, 0.25, -0.25, 0.1, -0.1, 0.0, 0.2}, {1, 1, 2, 2, 2});
  const Tensor bias = Tensor::from({0.0}, {1});
  const Tensor out = F::conv_transpose3d(input, weight, bias, {.stride = 1, .padding = 0});
  std::cout << "basic             " << out.shape().str() << '\n' << out << '\n';

  // Stride 2 alone gives stride*(n-1) + k = 2 a side; one more needs output_padding.
  std::cout << "stride 2          " << F::conv_transpose3d(input, weight, bias, {.stride = 2}).shape().str()
            << '\n';
  std::cout << "output_padding 1  "
            << F::conv_transpose3d(input, weight, bias, {.stride = 2, .output_padding = 1}).shape().str()
            << '\n';

  // Groups: each input channel has kernels of its own.
  const Tensor pair = Tensor::from({1.0, 2.0}, {1, 2, 1, 1, 1}),
               factors = Tensor::from({1.0, 2.0}, {2, 1, 1, 1, 1});
  const Tensor grouped = F::conv_transpose3d(pair, factors, Tensor::from({0.0, 0.0}, {2}), {.groups = 2});
  std::cout << "grouped           " << grouped.shape().str() << ", values " << grouped[0][0].item<float>()
            << " and " << grouped[0][1].item<float>() << '\n';

  // Any op by name, options as JSON.
  const Tensor by_name =
      ops::call("conv_transpose3d", {input, weight, bias}, {{"stride", 2}, {"output_padding", 1}});
  std::cout << "by name           " << by_name.shape().str() << '\n';

  // Gradients, and gradients of gradients.
  const Tensor x = Tensor::from({3.0}, {1}, f64).requires_grad_();
  const Tensor dx = autograd::grad({x * x * x}, {x}, {}, {.create_graph = true})[0];
  dx.backward();
  std::cout << "x = 3: (x^3)' = " << dx.item<double>() << ", (x^3)'' = " << x.grad().item<double>() << '\n';

  // A layer that learns to double the size of a volume: the target is nearest-neighbour upsampling.
  manual_seed(0);
  nn::ConvTranspose3d up(1, 1, {.kernel_size = 2, .stride = 2});
  optim::AdamW optimizer(up.parameters(), {.lr = 0.05});
  for (int step = 0; step <= 200; ++step) {
    const Tensor volume = randn({1, 1, 8, 8, 8});
    const Tensor target = F::interpolate(volume, {.scale_factor = {2.0}});
    const Tensor loss = F::mse_loss(up(volume), target);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    if (step % 50 == 0) std::cout << "step " << step << ", loss " << loss.item<float>() << '\n';
  }
}
