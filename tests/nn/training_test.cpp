#include <doctest/doctest.h>

#include "nn/nn.hpp"

using namespace lucid;
namespace F = lucid::nn::functional;

namespace {

// Two levels with everything that an encoder-decoder has.
struct TinyNet : nn::Module {
  nn::Conv3d stem{1, 4, {.kernel_size = 3, .padding = 1, .bias = false}};
  nn::InstanceNorm3d norm{4, {.affine = true}};
  nn::MaxPool3d pool{2};
  nn::Conv3d middle{4, 8, {.kernel_size = 3, .padding = 1}};
  nn::BatchNorm3d batch_norm{8};
  nn::ConvTranspose3d up{8, 4, {.kernel_size = 2, .stride = 2}};
  nn::Conv3d head{4, 2, {.kernel_size = 1}};
  LUCID_FIELDS(stem, norm, pool, middle, batch_norm, up, head)

  Tensor operator()(const Tensor& x) const {
    const Tensor skip = F::leaky_relu(norm(stem(x)));
    const Tensor deep = F::relu(batch_norm(middle(pool(skip))));
    return head(up(deep, skip.shape()) + skip);
  }
};

double train(TinyNet& net, optim::Optimizer& optimizer, int steps, std::uint64_t seed) {
  Generator generator(seed);
  double last = 0;
  for (int i = 0; i < steps; ++i) {
    const Tensor x = randn({2, 1, 8, 8, 8}, f32, &generator);
    const Tensor target = (x.select(1, 0) > 0.5).to(i64);
    optimizer.zero_grad();
    const Tensor loss = F::cross_entropy(net(x), target);
    loss.backward();
    optim::clip_grad_norm_(net.parameters(), 5);
    optimizer.step();
    last = loss.item<double>();
  }
  return last;
}

}  // namespace

TEST_CASE("a small encoder-decoder learns, from saved weights and optimiser state alike") {
  manual_seed(0);
  TinyNet net;
  CHECK(nn::forgotten_fields([] { return TinyNet(); }) == "");
  optim::AdamW optimizer(net.parameters(), {.lr = 1e-2});
  const double first = train(net, optimizer, 1, 1);
  train(net, optimizer, 29, 2);

  NamedTensors weights, state;
  for (const auto& [name, tensor] : net.state_dict()) weights.add(name, tensor.clone());
  for (const auto& [name, tensor] : optimizer.state_dict()) state.add(name, tensor.clone());
  const double last = train(net, optimizer, 5, 3);
  CHECK(last < 0.5 * first);

  TinyNet resumed;
  optim::AdamW resumed_optimizer(resumed.parameters());
  resumed.load_state_dict(weights);
  resumed_optimizer.load_state_dict(state);
  CHECK(train(resumed, resumed_optimizer, 5, 3) == last);
}
