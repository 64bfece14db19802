// d/dx sum(x * x) = 2x, through the op's record: the explicit table survives static linking.
#include <lucid/tensor.hpp>
#include <ops/registry.hpp>

#include <vector>

int main() {
  auto x = lucid::Tensor::from({1.0, -2.0, 3.0}, {3}, lucid::f64);
  x.requires_grad_();
  lucid::ops::call("mul", {x, x}).backward(lucid::ones({3}, lucid::f64));
  const auto gradient = x.grad().to_vector<double>();
  return gradient == std::vector<double>{2.0, -4.0, 6.0} ? 0 : 1;
}
