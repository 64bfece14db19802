#pragma once
// What the programs that time whole nets beside PyTorch have in common; torch_step.py has the twin.

#include <vector>

#include "nn/module.hpp"

namespace bench {

/// Weights by formula, scaled to their fan-in and by `factor`, and no bias; the norms' factors stay 1.
void fill(lucid::nn::Module& net, double factor = 1);

/// The most that this process had resident since reset_resident(), which also frees what is cached.
double resident_bytes();
void reset_resident();

/// What one side's rounds gave.
struct Side {
  std::vector<double> ms;
  double bytes = 0;  ///< the most that was resident
  double value = 0;  ///< the first loss, or the norm of the result
};

/// Throws lucid::Error where the values of the two sides differ by more than a thousandth.
void check_equal(const std::string& name, const Side& lucid, const Side& torch);

}  // namespace bench
