#include "autograd/observer.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "autograd/record.hpp"

namespace lucid::autograd {
namespace {

// Puts the observer back also when it throws.
class Aside {
 public:
  Aside() : observer_(std::exchange(detail::observer, nullptr)) {}
  ~Aside() { detail::observer = observer_; }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;
  Observer& operator*() const { return *observer_; }

 private:
  Observer* observer_;
};

// Stands where an op was, and knows nothing of it.
class ForgottenNode final : public Node {
 public:
  explicit ForgottenNode(std::string_view op) : name_(op) {}
  std::string_view name() const override { return name_; }
  void options(nlohmann::json& out) const override { out = nlohmann::json::object(); }
  Tensors backward(const std::shared_ptr<Node>&, const Tensors&, const Mask&) override {
    throw AutogradError(
        str(name_, ".backward: the observer of this call did not let the op keep what its gradient needs"));
  }

 private:
  std::string_view name_;
};

}  // namespace

namespace detail {

constinit thread_local Observer* observer = nullptr;

bool observe(std::string_view name, std::span<const Tensor> inputs, std::span<const Tensor> results,
             std::span<const Tensor> saved, const OpOptions& options, bool recorded) {
  const Aside current;
  (*current).on_op(name, inputs, results, options);
  if (!recorded || (*current).keep(saved)) return recorded;
  connect(std::make_shared<ForgottenNode>(name), {}, {}, results);
  return false;
}

}  // namespace detail

nlohmann::json OpOptions::operator()() const {
  nlohmann::json out = nlohmann::json::object();
  write_(out, options_);
  return out;
}

bool Observer::keep(std::span<const Tensor>) { return true; }

ObserverGuard::ObserverGuard(Observer& observer) : outer_(std::exchange(detail::observer, &observer)) {}
ObserverGuard::~ObserverGuard() { detail::observer = outer_; }

}  // namespace lucid::autograd
