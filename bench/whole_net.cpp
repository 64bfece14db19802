#include "bench/whole_net.hpp"

#include <cmath>
#include <fstream>
#include <string>

#include "autograd/grad_mode.hpp"
#include "bench/operands.hpp"
#include "lucid/allocator.hpp"
#include "ops/arithmetic.hpp"

namespace bench {

void fill(lucid::nn::Module& net, double factor) {
  const lucid::no_grad guard;
  for (const auto& [name, parameter] : net.named_parameters()) {
    if (parameter.dim() > 1) {
      const double fan = static_cast<double>(parameter.numel() / parameter.size(0));
      parameter.copy_(pattern(parameter.shape()) * (factor * std::sqrt(3 / fan)));
    } else if (name.ends_with("bias")) {
      parameter.fill_(0);
    }
  }
}

double resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  double kilobytes = 0;
  while (status >> word)
    if (word == "VmHWM:") status >> kilobytes;
  return kilobytes * 1024;
}

void reset_resident() {
  lucid::empty_cache();
  std::ofstream("/proc/self/clear_refs") << 5;
}

void check_equal(const std::string& name, const Side& lucid, const Side& torch) {
  lucid::check(std::abs(lucid.value - torch.value) <= 1e-3 * std::abs(torch.value), "bench", name,
               ": lucid's first loss or norm is ", lucid.value, ", PyTorch's ", torch.value);
}

}  // namespace bench
