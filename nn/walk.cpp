#include "nn/walk.hpp"

namespace lucid::nn {

class Walker final : public FieldVisitor {
 public:
  Walker(const WalkCallbacks& callbacks, Module& root) : callbacks_(callbacks), root_(root.path()) {}

  void visit(const std::string& name, Module& module) {
    if (!name.empty()) place(module, root_.empty() ? name : lucid::str(root_, ".", name));
    if (callbacks_.module) callbacks_.module(name, module);
    const std::string outer = std::exchange(prefix_, name.empty() ? "" : name + ".");
    module.visit_fields(*this);
    prefix_ = outer;
  }
  void parameter(const std::string& name, Parameter& field) override {
    if (callbacks_.parameter && shown(field)) callbacks_.parameter(prefix_ + name, field);
  }
  void buffer(const std::string& name, Buffer& field) override {
    if (callbacks_.buffer && shown(field)) callbacks_.buffer(prefix_ + name, field);
  }
  void module(const std::string& name, Module& field) override { visit(prefix_ + name, field); }

 private:
  // Written only when it changes, so that several threads may walk a tree that has been walked before.
  static void place(Module& module, const std::string& path) {
    if (module.path_ != path) module.path_ = path;
  }
  bool shown(const Tensor& field) const { return field.defined() || callbacks_.undefined_too; }

  const WalkCallbacks& callbacks_;
  std::string root_;
  std::string prefix_;
};

void walk(Module& root, const WalkCallbacks& callbacks) { Walker(callbacks, root).visit("", root); }

}  // namespace lucid::nn
