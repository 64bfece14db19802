#include "nn/compile.hpp"

#include "autograd/cast_mode.hpp"
#include "autograd/grad_mode.hpp"
#include "lucid/random.hpp"
#include "nn/detail/fuse.hpp"
#include "nn/detail/program.hpp"
#include "nn/detail/trace.hpp"

namespace lucid::nn {
namespace {

void require_eval(Module& net) {
  net.for_each_module([](const std::string& path, Module& module) {
    check(!module.training(), "compile", path.empty() ? "the net" : lucid::str("module \"", path, "\""),
          ", a ", module.type_name(), ", is in training mode; call eval() on the net first");
  });
}

// Convolutions take and give channels-last: an input that lies so is read without a copy.
Tensor laid_out(const Tensor& example) {
  const bool is_volume = example.dim() == 4 || example.dim() == 5;
  return is_volume ? example.channels_last() : example.contiguous();
}

}  // namespace

Tensor example_input(const Module& net, const Shape& shape) {
  DType dtype = f32;
  for (const Tensor& parameter : net.parameters())
    if (is_floating(parameter.dtype())) {
      dtype = parameter.dtype();
      break;
    }
  Generator generator(1);
  const no_grad guard;
  return randn(shape, f32, &generator).to(dtype);
}

Plan compile_forward(Module& net, const std::function<Tensor(const Tensor&)>& forward,
                     const Tensor& example) {
  check(example.defined(), "compile", "the example is undefined");
  require_eval(net);
  const no_grad guard;
  plan::Graph graph = plan::trace(net, forward, laid_out(example.detach()));
  plan::fuse(graph);
  Plan out;
  out.program_ = std::make_shared<const plan::Program>(std::move(graph));
  return out;
}

Tensor Plan::operator()(const Tensor& input) const {
  check(input.defined(), "plan", "the input is undefined");
  check(input.shape() == input_shape() && input.dtype() == dtype(), "plan", "input has shape ", input.shape(),
        " and dtype ", input.dtype(), "; this plan was compiled for ", input_shape(), " and ", dtype(),
        ". Compile the net for each shape that it meets, or cut the input to this one");
  const autograd::ComputeDtypeGuard as_compiled(f32);  // an autocast of the caller's changes nothing
  return program_->run(input);
}

const Shape& Plan::input_shape() const { return program_->input().shape; }
DType Plan::dtype() const { return program_->input().dtype; }
std::int64_t Plan::activation_bytes() const { return program_->activation_bytes(); }
std::int64_t Plan::weight_bytes() const { return program_->weight_bytes(); }
std::string Plan::str() const { return program_->str(); }

}  // namespace lucid::nn
