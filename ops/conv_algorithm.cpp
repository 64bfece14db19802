#include "ops/conv_algorithm.hpp"

#include "ops/onednn/conv.hpp"

namespace lucid::ops {

ConvPlan::ConvPlan(const ConvProblem& problem, ConvPass pass, DType dtype, const Strides& weight_strides,
                   bool has_bias)
    : implementation("lucid:direct") {
  if (dtype != f32) return;
  primitive = onednn::Convolution::make(problem, pass, weight_strides, has_bias);
  if (!primitive) return;
  if (primitive->is_reference()) {
    is_reference = true;
    implementation += " (oneDNN has only " + primitive->implementation() + ")";
    primitive.reset();
    return;
  }
  algorithm = ConvAlgorithm::onednn;
  implementation = "onednn:" + primitive->implementation();
}

ConvPlan::~ConvPlan() = default;

}  // namespace lucid::ops
