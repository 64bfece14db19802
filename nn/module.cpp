#include "nn/module.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <typeinfo>
#include <unordered_set>

#include "autograd/grad_mode.hpp"
#include "autograd/node.hpp"
#include "lucid/safetensors.hpp"
#include "nn/walk.hpp"

namespace lucid::nn {
namespace {

thread_local LiveCounts live;

// The walks of const methods change nothing but paths, which are a cache of where a module was found.
Module& mutable_of(const Module& module) { return const_cast<Module&>(module); }

using Named = std::vector<std::pair<std::string, Tensor>>;

// Collects tensors, each once.
class Distinct {
 public:
  void add(const std::string& name, const Tensor& tensor) {
    if (seen_.insert(tensor.handle().get()).second) found_.emplace_back(name, tensor);
  }
  Named take() { return std::move(found_); }

 private:
  std::unordered_set<const TensorImpl*> seen_;
  Named found_;
};

std::vector<Tensor> tensors_of(const Named& named) {
  std::vector<Tensor> out;
  out.reserve(named.size());
  for (const auto& entry : named) out.push_back(entry.second);
  return out;
}

}  // namespace

LiveCounts live_counts() { return live; }

namespace detail {

void count_live(Kind kind, std::int64_t change) {
  (kind == Kind::parameter ? live.parameters : kind == Kind::buffer ? live.buffers : live.modules) += change;
}

std::string next_name(std::string_view& names) {
  const std::size_t comma = names.find(',');
  std::string_view name = names.substr(0, comma);
  names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
  while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
  return std::string(name);
}

void own_elements(Module& module) {
  std::map<const TensorImpl*, Tensor> copies;  // the originals stay alive in `originals`
  std::vector<Tensor> originals;
  const auto copy_of = [&](const Tensor& tensor) {
    Tensor& copy = copies[tensor.handle().get()];
    if (!copy.defined()) {
      originals.push_back(tensor);
      const no_grad guard;
      copy = empty_like(tensor);
      copy.copy_(tensor);
      copy.requires_grad_(tensor.requires_grad());
    }
    return copy;
  };
  walk(module, {.parameter = [&](const auto&, Parameter& p) { static_cast<Tensor&>(p) = copy_of(p); },
                .buffer = [&](const auto&, Buffer& b) { static_cast<Tensor&>(b) = copy_of(b); }});
}

std::string describe_forgotten(const LiveCounts& before, const LiveCounts& after, Module& module) {
  std::set<const void*> parameters, buffers, modules;
  walk(module, {.parameter = [&](const auto&, Parameter& p) { parameters.insert(&p); },
                .buffer = [&](const auto&, Buffer& b) { buffers.insert(&b); },
                .module = [&](const auto&, Module& m) { modules.insert(&m); },
                .undefined_too = true});
  const auto missing = [](std::int64_t then, std::int64_t now, std::size_t seen) {
    return now - then - static_cast<std::int64_t>(seen);
  };
  const std::int64_t p = missing(before.parameters, after.parameters, parameters.size());
  const std::int64_t b = missing(before.buffers, after.buffers, buffers.size());
  const std::int64_t m = missing(before.modules, after.modules, modules.size());
  if (p == 0 && b == 0 && m == 0) return {};
  return lucid::str(module.type_name(), ": the LUCID_FIELDS lines leave out ", p, " parameters, ", b,
                    " buffers and ", m, " modules");
}

}  // namespace detail

Parameter::Parameter(const Tensor& value, bool requires_grad)
    : Tensor(value.defined() ? value.detach() : value) {
  if (defined()) requires_grad_(requires_grad);
}

void Module::visit_fields(FieldVisitor&) {}

std::string Module::type_name() const {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(typeid(*this).name(), nullptr, nullptr, &status), &std::free);
  std::string name = status == 0 ? text.get() : typeid(*this).name();
  const std::size_t scope = name.rfind("::", name.find('<'));
  return scope == std::string::npos ? name : name.substr(scope + 2);
}

Named Module::named_parameters() const {
  Distinct out;
  walk(mutable_of(*this), {.parameter = [&](const std::string& name, Parameter& p) { out.add(name, p); }});
  return out.take();
}

Named Module::named_buffers() const {
  Distinct out;
  walk(mutable_of(*this), {.buffer = [&](const std::string& name, Buffer& b) { out.add(name, b); }});
  return out.take();
}

std::vector<Tensor> Module::parameters() const { return tensors_of(named_parameters()); }
std::vector<Tensor> Module::buffers() const { return tensors_of(named_buffers()); }

std::int64_t Module::num_parameters() const {
  std::int64_t count = 0;
  for (const Tensor& parameter : parameters()) count += parameter.numel();
  return count;
}

void Module::save(const std::string& path) const { safetensors::save(path, state_dict()); }
void Module::load(const std::string& path, bool strict) { load_state_dict(safetensors::load(path), strict); }

void Module::train(bool mode) {
  walk(*this, {.module = [&](const auto&, Module& module) { module.training_ = mode; }});
}

void Module::zero_grad() const {
  for (const Tensor& parameter : parameters()) parameter.set_grad({});
}

void Module::requires_grad_(bool wanted) const {
  for (const Tensor& parameter : parameters()) parameter.requires_grad_(wanted);
}

void Module::for_each_module(const std::function<void(const std::string&, Module&)>& f) {
  walk(*this, {.module = f});
}

namespace {

// Gives the handle `tensor` new elements of another type; its gradient follows.
void convert(const Tensor& tensor, DType dtype) {
  if (!is_floating(tensor.dtype()) || tensor.dtype() == dtype) return;
  const no_grad guard;
  const Tensor converted = tensor.detach().to(dtype);
  const Tensor grad = tensor.grad();
  tensor.set_grad({});
  TensorImpl& impl = tensor.impl();
  impl.storage = converted.impl().storage;
  impl.strides = converted.strides();
  impl.offset = converted.offset();
  impl.dtype = dtype;
  if (impl.autograd) impl.autograd->accumulator.reset();
  if (grad.defined()) tensor.set_grad(grad.to(dtype));
}

}  // namespace

void Module::to(DType dtype) const {
  check(is_floating(dtype), "Module::to", "dtype ", dtype, " given; parameters need a floating type");
  for (const Tensor& tensor : parameters()) convert(tensor, dtype);
  for (const Tensor& tensor : buffers()) convert(tensor, dtype);
}

std::ostream& operator<<(std::ostream& out, const Module& module) { return out << module.str(); }

}  // namespace lucid::nn
